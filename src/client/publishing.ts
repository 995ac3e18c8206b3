/** What a publish is made of, and how it goes over the wire (PROTOCOL.md, 10.7). Knows neither order nor answers. */
import { encodeBase64 } from "../core/base64.ts";
import type { Pending, Publishable } from "./types.ts";

/** The runtime closes whoever sends a larger frame, 32 MiB; type and ids have room beside the messages. */
const MAX_MESSAGES_BYTES = 33_554_432 - 256;
const MAX_MESSAGES = 1000;

/** What a caller publishes at once. */
export type Publication = Publishable | readonly Publishable[];

/** All of it, as a list that is not the caller's. */
export function listOf(publication: Publication): readonly Publishable[] {
  return isList(publication) ? [...publication] : [publication];
}

/** Takes a copy of each; throws a RangeError for what no frame can hold. */
export function copyMessages(messages: readonly Publishable[]): Pending["messages"] {
  if (messages.length > MAX_MESSAGES) throw new RangeError("There are more than 1,000 messages");
  return messages.map((message) =>
    typeof message === "string" ? message : { base64: encodeBase64(copyBytes(message)) },
  );
}

/** How many bytes messages take in a frame; throws a RangeError for more than any frame can hold. */
export function measure(messages: Pending["messages"]): number {
  const bytes = new TextEncoder().encode(JSON.stringify(messages)).length;
  if (bytes > MAX_MESSAGES_BYTES) throw new RangeError("The messages are larger than 32 MiB");
  return bytes;
}

/** Writes a frame. The id stands before the messages, so that it is read also where they are not (14.4). */
export function formatFrame({ id, messages, finish }: Pending, after: string | undefined): string {
  const type = finish === true ? "finish" : "publish";
  return JSON.stringify({ type, id, after, ...(messages.length > 0 && { messages }) });
}

function isList(publication: Publication): publication is readonly Publishable[] {
  return Array.isArray(publication);
}

/** Its bytes may lie among others, or be shared. */
function copyBytes(message: ArrayBuffer | ArrayBufferView): ArrayBuffer {
  const { buffer, byteOffset, byteLength } = ArrayBuffer.isView(message)
    ? message
    : new DataView(message);
  return new Uint8Array(new Uint8Array(buffer, byteOffset, byteLength)).buffer;
}
