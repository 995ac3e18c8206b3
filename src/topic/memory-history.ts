/**
 * The history of a log that is not durable: the last batches in memory, bounded by nothing but memory. It waits for
 * nobody, and costs nothing.
 */
import type { Cursor } from "../core/cursor.ts";
import type { Batch } from "../delivery/batch.ts";
import type { RecentBatches } from "../delivery/recent-batches.ts";
import type { History } from "./history.ts";
import type { PublishedId } from "./recent-ids.ts";
import type { RowPlace } from "./row-times.ts";

/** The history in memory of one topic. */
export class MemoryHistory implements History {
  readonly bounds = null;
  readonly vacantMs = null;
  readonly corrections: readonly RowPlace[] = [];
  readonly #recent: RecentBatches;

  constructor(recent: RecentBatches) {
    this.#recent = recent;
  }

  get first(): number | null {
    return this.#recent.oldest?.place.first ?? null;
  }

  outgrowsStorage(): boolean {
    return false;
  }

  shorten(): void {}

  append(batch: Batch, _ids: readonly PublishedId[], _spare: number): number {
    this.#recent.push(batch);
    return 0;
  }

  after({ offset }: Cursor, _maxBytes: number): Batch[] {
    return this.#recent.after(offset) ?? [];
  }

  lastBefore(timeMs: number): number | null {
    return this.#recent.lastBefore(timeMs);
  }

  overBound(): number {
    return 0;
  }

  tooOld(): number {
    return 0;
  }

  hasExpired(): boolean {
    return false;
  }

  expire(): void {}

  setBack(atMs: number): void {
    this.#recent.setBack(atMs);
  }

  nextExpiryMs(): null {
    return null;
  }

  drop(): void {}

  setAside(): void {}
}
