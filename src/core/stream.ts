/**
 * The stream, `wspubsub.v1` (PROTOCOL.md, section 10): its name, and the lists of messages that frames of both
 * directions and the durable log carry. The frames are in `hub-frame.ts` and `client-frame.ts`, each with both
 * halves, so that hub and client import what they need. Pure; knows forms, not what they cause.
 */
import { decodeBase64, encodeBase64 } from "./base64.ts";
import { isMembers } from "./frame.ts";
import type { Message } from "./message.ts";
import { err, ok, type Result } from "./result.ts";

/** The subprotocol's name (RFC 6455, section 1.9). */
export const STREAM_PROTOCOL = "wspubsub.v1";
/** The two ways to be on a topic: bare frames, or the stream. */
export type Protocol = "raw" | "stream";

/** Writes messages as a JSON array. */
export function formatMessageList(messages: readonly Message[]): string {
  // Nearly always text alone, which needs no copy.
  if (messages.every((message) => typeof message === "string")) return JSON.stringify(messages);
  return JSON.stringify(
    messages.map((message) =>
      typeof message === "string" ? message : { base64: encodeBase64(message) },
    ),
  );
}

/** Joins lists as if their messages had been written together. */
export function joinMessageLists(lists: readonly string[]): string {
  const end = lists.length - 1;
  // With the first one's bracket and the last one's: putting those around would copy all once more.
  return lists.map((list, n) => list.slice(n === 0 ? 0 : 1, n === end ? undefined : -1)).join(",");
}

/** Reads messages back; throws on what `formatMessageList` did not write. */
export function parseMessageList(list: string): Message[] {
  const messages = parseMessages(JSON.parse(list));
  if (!messages.ok) throw new Error(`Cannot parse messages: ${messages.error}`);
  return messages.value;
}

/** Reads the member `messages` of a frame, which has one message at least. */
export function parseMessages(value: unknown, maxMessages?: number): Result<Message[]> {
  if (!Array.isArray(value) || value.length === 0 || value.length > (maxMessages ?? Infinity)) {
    const count = maxMessages === undefined ? "1 or more" : `1 to ${maxMessages}`;
    return err(`Expected "messages" to be a list of ${count} messages`);
  }
  const items: unknown[] = value;
  const messages: Message[] = [];
  // Without `entries`, which makes a pair for each message.
  for (let index = 0; index < items.length; index++) {
    const item = items[index];
    const message = typeof item === "string" ? item : parseBinary(item);
    if (message === null) {
      return err(`Expected "messages[${index}]" to be a text or {"base64":"…"}, padded`);
    }
    // What is no UTF-8 arrives as U+FFFD, as on a raw socket: half a pair has none (RFC 6455, section 5.6).
    messages.push(typeof message === "string" ? message.toWellFormed() : message);
  }
  return ok(messages);
}

function parseBinary(item: unknown): ArrayBuffer | null {
  return isMembers(item) && typeof item["base64"] === "string"
    ? decodeBase64(item["base64"])
    : null;
}
