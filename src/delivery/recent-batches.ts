/**
 * The last batches in memory: all there is of a log without history, and what spares a log with history
 * most reads. Bounded, and empty after the object slept.
 */
import { bytesOf, mostBytesOf } from "../core/byte-size.ts";
import { reached } from "../core/coverage-mark.ts";
import type { Batch } from "./batch.ts";

/** Bounds: enough for a reconnect within seconds, little beside an object's 128 MB. */
const MAX_MESSAGES = 1024;
const MAX_BYTES = 1024 * 1024;

interface Recent {
  batch: Batch;
  /** What it has at most, and exactly once it was counted. */
  bytes: number;
}

/** The ring of one topic. */
export class RecentBatches {
  readonly #recent: Recent[] = [];
  #messages = 0;
  /** The sum over all batches. */
  #bytes = 0;
  /** How many batches were counted, the oldest ones. */
  #counted = 0;

  /** Takes the newest batch, drops the oldest over the bound; the newest always stays. */
  push(batch: Batch): void {
    const bytes = mostBytesOf(batch.messages);
    this.#recent.push({ batch, bytes });
    this.#messages += countOf(batch);
    this.#bytes += bytes;
    while (this.#recent.length > 1 && this.#isOverBound()) this.#dropOldest();
  }

  /** The oldest batch in memory. */
  get oldest(): Batch | null {
    return this.#recent[0]?.batch ?? null;
  }

  /** What follows an offset, cut to begin right behind it; `null` when it reaches back further. */
  after(offset: number): Batch[] | null {
    const { oldest } = this;
    if (oldest === null || offset < oldest.place.first - 1) return null;
    const from = this.#recent.findIndex(({ batch }) => batch.place.last > offset);
    return from < 0 ? [] : this.#recent.slice(from).map(({ batch }) => batch.after(offset));
  }

  /** The offset of the last message published before a time; `null` when memory has none. */
  lastBefore(timeMs: number): number | null {
    const before = this.#recent.findLast(({ batch }) => batch.place.atMs < timeMs);
    return before?.batch.place.last ?? null;
  }

  /** Sets what was published at a later time to this one. */
  setBack(atMs: number): void {
    for (const recent of this.#recent) recent.batch = recent.batch.setBack(atMs);
  }

  /** Counts as many batches as it takes to decide. */
  #isOverBound(): boolean {
    if (this.#messages > MAX_MESSAGES) return true;
    while (this.#bytes > MAX_BYTES) {
      const recent = this.#recent[this.#counted];
      if (recent === undefined) {
        reached("recent-over-bytes");
        return true;
      }
      const bytes = bytesOf(recent.batch.messages);
      this.#bytes += bytes - recent.bytes;
      recent.bytes = bytes;
      this.#counted += 1;
    }
    return false;
  }

  #dropOldest(): void {
    const dropped = this.#recent.shift();
    if (dropped === undefined) return;
    this.#messages -= countOf(dropped.batch);
    this.#bytes -= dropped.bytes;
    this.#counted = Math.max(0, this.#counted - 1);
  }
}

function countOf({ place }: Batch): number {
  return place.last - place.first + 1;
}
