/**
 * The last batches in memory: all there is of a log without history, and what spares a log with history
 * most reads. Bounded, and empty after the object slept.
 */
import type { Batch } from "./batch.ts";

/** Bounds: enough for a reconnect within seconds, little beside an object's 128 MB. */
const MAX_MESSAGES = 1024;
const MAX_UNITS = 1024 * 1024;

/** The ring of one topic. */
export class RecentBatches {
  #batches: Batch[] = [];
  #messages = 0;
  #units = 0;

  /** Takes the newest batch, drops the oldest over the bound; the newest always stays. */
  push(batch: Batch): void {
    this.#batches.push(batch);
    this.#messages += countOf(batch);
    this.#units += batch.units;
    while (this.#batches.length > 1 && (this.#messages > MAX_MESSAGES || this.#units > MAX_UNITS)) {
      const dropped = this.#batches.shift();
      if (dropped === undefined) break;
      this.#messages -= countOf(dropped);
      this.#units -= dropped.units;
    }
  }

  /** The oldest batch in memory. */
  get oldest(): Batch | null {
    return this.#batches[0] ?? null;
  }

  /** What follows an offset, cut to begin right behind it; `null` when it reaches back further. */
  after(offset: number): Batch[] | null {
    const oldest = this.oldest;
    if (oldest === null || offset < oldest.place.first - 1) return null;
    const from = this.#batches.findIndex(({ place }) => place.last > offset);
    if (from < 0) return [];
    const [first, ...rest] = this.#batches.slice(from);
    return first === undefined ? [] : [first.after(offset), ...rest];
  }

  /** The offset of the last message published before a time; `null` when memory has none. */
  lastBefore(timeMs: number): number | null {
    return this.#batches.findLast(({ place }) => place.atMs < timeMs)?.place.last ?? null;
  }
}

function countOf({ place }: Batch): number {
  return place.last - place.first + 1;
}
