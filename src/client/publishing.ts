/**
 * Publishes as they wait and as they go over the wire. Owns their form, and what a frame may hold; knows neither
 * order nor answers.
 */
import { encodeBase64 } from "../core/base64.ts";
import type { Pending, Publishable } from "./types.ts";

/** The runtime closes whoever sends a larger frame (PROTOCOL.md, 10.7). */
const MAX_FRAME_BYTES = 33_554_432;
/** What a frame has beside its messages: type, ids and punctuation. */
const HEAD_BYTES = 256;
/** PROTOCOL.md, 10.7. */
const MAX_MESSAGES = 1000;

/** One call of the caller's, which waits for its answer. */
export interface Call {
  readonly messages: readonly Publishable[];
  readonly isFinish: boolean;
  resolve(answer: { cursor: string }): void;
  reject(error: unknown): void;
}

/** A publish that may be sent, and is not answered. */
export interface Entry {
  readonly pending: Pending;
  readonly bytes: number;
  /** Where the outbox is the caller's: whether it holds this. */
  isSaved: boolean;
  /** The publish that it follows, as the hub was told. */
  after: string | undefined;
  resolve(answer: { cursor: string }): void;
  reject(error: unknown): void;
}

/** Makes a list of what a caller publishes. */
export function messagesOf(message: Publishable | readonly Publishable[]): readonly Publishable[] {
  return isList(message) ? message : [message];
}

/** Takes a copy of what a caller publishes; throws a RangeError for what no frame can hold. */
export function takeMessages(messages: readonly Publishable[]): Pending["messages"] {
  if (messages.length > MAX_MESSAGES) throw new RangeError("A publish has at most 1,000 messages");
  return messages.map((message) =>
    typeof message === "string" ? message : { base64: encodeBase64(bytesOf(message)) },
  );
}

/** How many bytes messages take in a frame; throws a RangeError for more than any frame can hold. */
export function measure(messages: Pending["messages"]): number {
  const bytes = new TextEncoder().encode(JSON.stringify(messages)).length;
  if (bytes > MAX_FRAME_BYTES - HEAD_BYTES) {
    throw new RangeError("The messages are larger than a frame may be, 32 MiB");
  }
  return bytes;
}

/** Writes a frame. The id stands before the messages, so that it is read also where they are not (14.4). */
export function formatFrame({ id, messages, finish }: Pending, after: string | undefined): string {
  const type = finish === true ? "finish" : "publish";
  return JSON.stringify({
    type,
    id,
    after,
    messages: messages.length > 0 ? messages : undefined,
  });
}

function isList(message: Publishable | readonly Publishable[]): message is readonly Publishable[] {
  return Array.isArray(message);
}

function bytesOf(message: ArrayBuffer | ArrayBufferView): ArrayBuffer {
  const bytes =
    message instanceof ArrayBuffer
      ? new Uint8Array(message)
      : new Uint8Array(message.buffer, message.byteOffset, message.byteLength);
  // A copy, of an ordinary buffer.
  return new Uint8Array(bytes).buffer;
}
