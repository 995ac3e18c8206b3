/**
 * Gathering: what waits for its place in the log, in order, put together to the batches that it will be. Knows nothing
 * of the log or of subscribers.
 * Invariants: a publication is never split; a batch has no more bytes than it may, unless one publication has more.
 */
import { bytesOf, mostBytesOf } from "../core/byte-size.ts";
import { reached } from "../core/coverage-mark.ts";
import type { Publication } from "./publication.ts";

/**
 * Bytes that a batch may have, unless one publication has more: clients bound the size of a frame. Three a unit of
 * text, however many it has: so nothing is counted, and what nearly every text is, ASCII, comes to 512 KiB.
 */
const MAX_BATCH_BYTES = 1536 * 1024;
/** Messages that may gather: beyond them a publish is refused, and who sends raw frames is held up. */
const MAX_GATHERED_MESSAGES = 4096;
/** Bytes that may gather, likewise; counted where three a unit of text do not decide. */
const MAX_GATHERED_BYTES = 8 * 1024 * 1024;

/** What will be a batch. */
interface Gathered {
  readonly publications: Publication[];
  /** How many bytes it has at most. */
  mostBytes: number;
  /** How many of its publications were counted, the first ones. */
  counted: number;
  /** How many bytes it has, as far as it was counted, and at most beyond. */
  bytes: number;
}

/** What has gathered on one topic. */
export class Gathering {
  readonly #batches: Gathered[] = [];
  #messages = 0;

  /** Whether there is nothing, not even a receipt to give. */
  get isEmpty(): boolean {
    return this.#batches.length === 0;
  }

  /** How many messages there are. */
  get messages(): number {
    return this.#messages;
  }

  /** Whether there is more than one batch takes. */
  get exceedsBatch(): boolean {
    const [first] = this.#batches;
    return this.#batches.length > 1 || (first?.mostBytes ?? 0) > MAX_BATCH_BYTES;
  }

  /** Whether there is as much as a batch takes. */
  get fillsBatch(): boolean {
    const [first] = this.#batches;
    return this.#batches.length > 1 || (first?.mostBytes ?? 0) >= MAX_BATCH_BYTES;
  }

  /** Whether no more should be taken from whoever can be told to wait. */
  get isFull(): boolean {
    if (this.#messages > MAX_GATHERED_MESSAGES) return true;
    if (this.#bytes <= MAX_GATHERED_BYTES) return false;
    for (const batch of this.#batches) count(batch);
    return this.#bytes > MAX_GATHERED_BYTES;
  }

  /** Takes a publication. */
  add(publication: Publication): void {
    const { messages } = publication;
    const mostBytes = mostBytesOf(messages);
    this.#messages += messages.length;
    const last = this.#batches.at(-1);
    if (last !== undefined && last.mostBytes + mostBytes <= MAX_BATCH_BYTES) {
      last.publications.push(publication);
      last.mostBytes += mostBytes;
      last.bytes += mostBytes;
      return;
    }
    if (last !== undefined) reached("batch-full");
    this.#batches.push({ publications: [publication], mostBytes, counted: 0, bytes: mostBytes });
  }

  /** Gives away the publications of the next batch; `null` when there are none. */
  take(): readonly Publication[] | null {
    const next = this.#batches.shift();
    if (next === undefined) return null;
    for (const { messages } of next.publications) this.#messages -= messages.length;
    return next.publications;
  }

  /** How many bytes there are, as far as they were counted, and at most beyond. Few batches: each is large. */
  get #bytes(): number {
    return this.#batches.reduce((sum, { bytes }) => sum + bytes, 0);
  }
}

/** Counts what of a batch was not counted before. */
function count(batch: Gathered): void {
  if (batch.counted === batch.publications.length) return;
  reached("gathered-counted");
  const uncounted = batch.publications.slice(batch.counted).flatMap(({ messages }) => messages);
  batch.bytes += bytesOf(uncounted) - mostBytesOf(uncounted);
  batch.counted = batch.publications.length;
}
