/**
 * The frames of the stream that carry a batch: one, unless it would be larger than clients take (PROTOCOL.md, 10.4).
 * Then messages are joined for as long as they fit; only one message by itself may make a larger frame. Knows forms and
 * sizes, no sockets. Invariant: frames cover the batch without a hole, each with the cursor of its last message.
 */
import { byteLengthOf } from "../core/byte-size.ts";
import { formatCursor, type Cursor } from "../core/cursor.ts";
import { formatMessages } from "../core/hub-frame.ts";
import type { Message } from "../core/message.ts";
import { sliceSpans, type Span } from "../core/span.ts";
import { formatMessageList } from "../core/stream.ts";

/** What a frame that joins messages has at most; Python's `websockets` takes no more unless it is told to. */
export const MAX_FRAME_BYTES: number = 1024 * 1024;

/** A frame of the stream. */
export interface Frame {
  readonly text: string;
  /** As it goes over the wire: UTF-8. */
  readonly bytes: number;
  /** The offset of its last message. */
  readonly last: number;
}

/** What is framed. */
export interface Framed {
  readonly epoch: string;
  /** The offset of the last message. */
  readonly last: number;
  readonly messages: readonly Message[];
  /** When they were published. */
  readonly spans: readonly Span[];
  /** The messages as a JSON array. */
  readonly list: string;
}

/** The frames that carry messages, in order. */
export function framesOf({ epoch, last, messages, spans, list }: Framed): readonly Frame[] {
  const whole = frameOf({ epoch, offset: last }, spans, list);
  // Its size is counted in any case, for what is acknowledged.
  if (messages.length === 1 || whole.bytes <= MAX_FRAME_BYTES) return [whole];
  const frames: Frame[] = [];
  // Offsets before the last have no more digits, and a part has no more spans.
  const headBytes = frameOf({ epoch, offset: last }, spans, "[]").bytes;
  let items: string[] = [];
  let bytes = headBytes;
  let offset = last - messages.length;
  const close = (): void => {
    if (items.length > 0) {
      const to = messages.length - (last - offset);
      const part = sliceSpans(spans, to - items.length, to);
      frames.push(frameOf({ epoch, offset }, part, `[${items.join(",")}]`));
    }
    items = [];
    bytes = headBytes;
  };
  for (const message of messages) {
    const item = formatMessageList([message]).slice(1, -1);
    const itemBytes = byteLengthOf(item);
    if (bytes + itemBytes > MAX_FRAME_BYTES) close();
    items.push(item);
    // And the comma before the next one.
    bytes += itemBytes + 1;
    offset += 1;
  }
  close();
  return frames;
}

function frameOf(cursor: Cursor, spans: readonly Span[], list: string): Frame {
  const text = formatMessages(formatCursor(cursor), spans, list);
  return { text, bytes: byteLengthOf(text), last: cursor.offset };
}
