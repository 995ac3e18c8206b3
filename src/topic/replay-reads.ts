/**
 * What replays read of a history: batches of a good size, and the last of them remembered, since subscribers that come
 * back together ask for the same. Its owner begins with another one when the epoch changes.
 */
import { reached } from "../core/coverage-mark.ts";
import { bytesOf } from "../core/byte-size.ts";
import type { Cursor } from "../core/cursor.ts";
import { Batch } from "../delivery/batch.ts";
import type { History } from "./history.ts";

/** Bytes of a batch that is read for replay. */
const READ_BYTES = 128 * 1024;
/** Reads that are remembered, and bytes of their messages: as JSON and as frames each may be held twice more. */
const MAX_REMEMBERED_READS = 8;
const MAX_REMEMBERED_BYTES = 2 * 1024 * 1024;

interface Read {
  readonly batch: Batch;
  readonly bytes: number;
}

/** The reads of one topic. */
export class ReplayReads {
  /** By the offset that they follow, oldest first. */
  readonly #reads: Map<number, Read> = new Map();
  #bytes = 0;

  /** What follows a place, up to a size. A number: what follows cannot be read, up to that offset or to the head. */
  read(cursor: Cursor, history: Pick<History, "after">): Batch | number {
    const remembered = this.#reads.get(cursor.offset);
    if (remembered !== undefined) return remembered.batch;
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
    this.#remember(cursor.offset, { batch, bytes });
    return batch;
  }

  #remember(offset: number, read: Read): void {
    // It would leave room for nothing else, and outlive the replay that needs it.
    if (read.bytes > MAX_REMEMBERED_BYTES) return;
    this.#reads.set(offset, read);
    this.#bytes += read.bytes;
    for (const [oldest, { bytes }] of this.#reads) {
      if (this.#reads.size <= MAX_REMEMBERED_READS && this.#bytes <= MAX_REMEMBERED_BYTES) return;
      reached("read-forgotten");
      this.#reads.delete(oldest);
      this.#bytes -= bytes;
    }
  }
}
