/**
 * Gathering: what waits for its place in the log, in order, put together to the batches that it will be. Knows nothing
 * of the log or of subscribers.
 * Invariants: a publication is never split; a batch has no more bytes than it may, unless one publication has more.
 */
import { bytesOf, mostBytesOf } from "../core/byte-size.ts";
import { reached } from "../core/coverage-mark.ts";
import type { Message } from "../core/message.ts";
import type { Publication } from "./publication.ts";

/** Bytes of a batch, unless one publication has more: clients bound the size of a frame. */
const MAX_BATCH_BYTES = 512 * 1024;
/** Messages that may gather: beyond them a publish is refused, and who sends raw frames is held up. */
const MAX_GATHERED_MESSAGES = 4096;
/** Bytes that may gather, likewise. */
const MAX_GATHERED_BYTES = 8 * 1024 * 1024;

/** What will be a batch. */
interface Gathered {
  readonly publications: Publication[];
  /** How many bytes it has at most; exactly, once all of it was counted. */
  bytes: number;
  /** How many of its publications were counted, the first ones, and how many bytes those have. */
  counted: number;
  countedBytes: number;
}

/** What has gathered on one topic. */
export class Gathering {
  readonly #batches: Gathered[] = [];
  #messages = 0;
  /** Bytes of all batches but the last, which have been counted. */
  #bytesBeforeLast = 0;

  /** How many messages there are. */
  get messages(): number {
    return this.#messages;
  }

  /** Whether there is more than one batch takes. */
  get exceedsBatch(): boolean {
    const last = this.#batches.at(-1);
    return this.#batches.length > 1 || (last !== undefined && exceeds(last, MAX_BATCH_BYTES));
  }

  /** Whether no more should be taken from whoever can be told to wait. */
  get isFull(): boolean {
    if (this.#messages > MAX_GATHERED_MESSAGES) return true;
    const last = this.#batches.at(-1);
    return last !== undefined && exceeds(last, MAX_GATHERED_BYTES - this.#bytesBeforeLast);
  }

  /** Takes a publication. */
  add(publication: Publication): void {
    const { messages } = publication;
    const mostBytes = mostBytesOf(messages);
    this.#messages += messages.length;
    const last = this.#batches.at(-1);
    if (last !== undefined && hasRoom(last, messages, mostBytes)) {
      last.publications.push(publication);
      last.bytes += mostBytes;
      return;
    }
    if (last !== undefined) {
      reached("batch-full");
      this.#bytesBeforeLast += last.bytes;
    }
    const publications = [publication];
    this.#batches.push({ publications, bytes: mostBytes, counted: 0, countedBytes: 0 });
  }

  /** Gives away the publications of the next batch; `null` when there are none. */
  take(): readonly Publication[] | null {
    const next = this.#batches.shift();
    if (next === undefined) return null;
    for (const { messages } of next.publications) this.#messages -= messages.length;
    if (this.#batches.length > 0) this.#bytesBeforeLast -= next.bytes;
    return next.publications;
  }
}

/** Whether messages can be added to a batch, which is counted where it might not be so. */
function hasRoom(batch: Gathered, messages: readonly Message[], mostBytes: number): boolean {
  const room = MAX_BATCH_BYTES - mostBytes;
  return !exceeds(batch, room) || batch.bytes + bytesOf(messages) <= MAX_BATCH_BYTES;
}

/** Whether a batch has more than so many bytes; counts what was not counted before, where it might. */
function exceeds(batch: Gathered, maxBytes: number): boolean {
  if (batch.bytes <= maxBytes) return false;
  if (batch.counted < batch.publications.length) {
    reached("gathered-counted");
    const uncounted = batch.publications.slice(batch.counted);
    batch.countedBytes += bytesOf(uncounted.flatMap(({ messages }) => messages));
    batch.counted = batch.publications.length;
    batch.bytes = batch.countedBytes;
  }
  return batch.bytes > maxBytes;
}
