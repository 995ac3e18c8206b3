/**
 * A batch: messages with consecutive offsets, which are stored, delivered and replayed together. Its
 * JSON text is made when it is first needed, and once; so are the frames that carry it.
 */
import { bytesOf, mostBytesOf } from "../core/byte-size.ts";
import { reached } from "../core/coverage-mark.ts";
import type { Message } from "../core/message.ts";
import { joinSpans, sliceSpans, type Span } from "../core/span.ts";
import { formatMessageList, joinMessageLists, parseMessageList } from "../core/stream.ts";
import { framesOf, type Frame } from "./frames.ts";
import { headBytesOf, type WireSize } from "./send-queue.ts";

/** Where a batch stands in the log. */
export interface Place {
  readonly epoch: string;
  /** The offset of its first message. */
  readonly first: number;
  /** The offset of its last message. */
  readonly last: number;
  /** When its first message was published, in milliseconds since the epoch. */
  readonly atMs: number;
}

/** One or more messages of one epoch. */
export class Batch {
  readonly place: Place;
  readonly messages: readonly Message[];
  /** When they were published: at once, unless it was joined. */
  readonly spans: readonly Span[];
  #list: string | null;
  #frames: readonly Frame[] | null = null;
  #rawSize: WireSize | null = null;

  private constructor(
    place: Omit<Place, "atMs">,
    messages: readonly Message[],
    spans: readonly Span[],
    list: string | null,
  ) {
    this.place = { ...place, atMs: spans[0]?.atMs ?? 0 };
    this.messages = messages;
    this.spans = spans;
    this.#list = list;
  }

  /** The messages as they came; `list`: as they were written already. */
  static ofMessages(place: Place, messages: readonly Message[], list: string | null = null): Batch {
    return new Batch(place, messages, spansOf(place, messages), list);
  }

  /** The messages as `list` holds them; `null` where it does not hold as many as the place says. */
  static ofList(place: Place, list: string): Batch | null {
    let messages: readonly Message[];
    try {
      messages = parseMessageList(list);
    } catch {
      // Error, SyntaxError: `formatMessageList` did not write it, or it was cut.
      reached("list-unreadable");
      return null;
    }
    if (messages.length !== place.last - place.first + 1) {
      reached("list-miscounted");
      return null;
    }
    return new Batch(place, messages, spansOf(place, messages), list);
  }

  /** Batches that follow each other, as one. */
  static join(batches: readonly [Batch, ...Batch[]]): Batch {
    const [{ place }] = batches;
    const last = batches.at(-1)?.place.last ?? place.last;
    if (batches.length === 1) return batches[0];
    return new Batch(
      { ...place, last },
      batches.flatMap(({ messages }) => messages),
      joinSpans(batches.map((batch) => batch.spans)),
      joinMessageLists(batches.map(({ list }) => list)),
    );
  }

  /** The messages as a JSON array. */
  get list(): string {
    return (this.#list ??= formatMessageList(this.messages));
  }

  /** The frames of the stream that carry the messages: one, unless that were too large. */
  get frames(): readonly Frame[] {
    const { messages, list } = this;
    const { epoch, last } = this.place;
    return (this.#frames ??= framesOf({ epoch, last, messages, spans: this.spans, list }));
  }

  /** What the bare messages take on the wire. */
  get rawSize(): WireSize {
    return (this.#rawSize ??= rawSizeOf(this.messages));
  }

  /** The part of it that lies behind an offset, which must not be its last. */
  after(offset: number): Batch {
    if (offset < this.place.first) return this;
    return this.#part({ ...this.place, first: offset + 1 });
  }

  /** The part of it up to an offset, which must not lie before its first. */
  upTo(offset: number): Batch {
    if (offset >= this.place.last) return this;
    return this.#part({ ...this.place, last: offset });
  }

  /** The same with what was published at a later time set to this one. */
  setBack(atMs: number): Batch {
    if (this.spans.every((span) => span.atMs <= atMs)) return this;
    const spans = this.spans.map((span) => [{ ...span, atMs: Math.min(span.atMs, atMs) }]);
    return new Batch(this.place, this.messages, joinSpans(spans), this.#list);
  }

  #part(place: Place): Batch {
    const [from, to] = [place.first - this.place.first, place.last + 1 - this.place.first];
    return new Batch(place, this.messages.slice(from, to), sliceSpans(this.spans, from, to), null);
  }
}

function spansOf({ atMs }: Place, { length: count }: readonly Message[]): readonly Span[] {
  return [{ count, atMs }];
}

function rawSizeOf(messages: readonly Message[]): WireSize {
  let headBytes = 0;
  // The largest head that a text can need: its bytes are counted for all together, which is faster.
  for (const message of messages) headBytes += headBytesOf(mostBytesOf([message]));
  return { frames: messages.length, payloadBytes: bytesOf(messages), headBytes };
}
