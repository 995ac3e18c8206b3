/**
 * What replays read of a history: batches of a good size, and the last of them remembered, since subscribers who come
 * back together ask for the same. Whoever has it begins with another one when the epoch changes.
 */
import { reached } from "../core/coverage-mark.ts";
import { bytesOf } from "../core/byte-size.ts";
import type { Cursor } from "../core/cursor.ts";
import { Batch } from "../delivery/batch.ts";
import type { History } from "./history.ts";

/** Bytes of a batch that is read for replay. */
const READ_BYTES = 128 * 1024;
/** Reads that are remembered. */
const MAX_REMEMBERED_READS = 8;

/** The reads of one topic. */
export class ReplayReads {
  readonly #batches: Map<number, Batch> = new Map();

  /** What follows a place, up to a size. A number: what follows cannot be read, up to that offset or to the head. */
  read(cursor: Cursor, history: Pick<History, "after">): Batch | number {
    const remembered = this.#batches.get(cursor.offset);
    if (remembered !== undefined) return remembered;
    const batches = history.after(cursor, READ_BYTES);
    if (typeof batches === "number") return batches;
    const [first, ...rest] = batches;
    if (first === undefined) return Infinity;
    const taken: [Batch, ...Batch[]] = [first];
    let bytes = bytesOf(first.messages);
    for (const batch of rest) {
      if (bytes >= READ_BYTES) break;
      taken.push(batch);
      bytes += bytesOf(batch.messages);
    }
    const batch = Batch.join(taken);
    this.#remember(cursor.offset, batch);
    return batch;
  }

  #remember(offset: number, batch: Batch): void {
    this.#batches.set(offset, batch);
    if (this.#batches.size <= MAX_REMEMBERED_READS) return;
    const [oldest] = this.#batches.keys();
    if (oldest === undefined) return;
    reached("read-forgotten");
    this.#batches.delete(oldest);
  }
}
