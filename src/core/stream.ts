/**
 * The codec of the stream, `wspubsub.v1` (PROTOCOL.md, section 10): frames are texts that hold one JSON
 * object each. Pure; knows the form of frames, not what they cause. A frame is taken whole or not at
 * all, and what is wrong with it is said with its place, never with its content.
 */
import { parseCursor, type Cursor } from "./cursor.ts";
import type { Message } from "./message.ts";
import { problemDetails, type Problem } from "./problem.ts";
import { err, ok, type Result } from "./result.ts";

/** The subprotocol's name (RFC 6455, section 1.9). */
export const STREAM_PROTOCOL = "wspubsub.v1";
/** The two ways to be on a topic: bare frames, or the stream. */
export type Protocol = "raw" | "stream";

/** Messages of one `publish`. */
export const MAX_PUBLISH_MESSAGES = 1000;
/** UTF-16 units of a subscriber's frame: twice what its longest cursor takes, and members that are unknown. */
const MAX_CREDIT_UNITS = 256;
/** What a publish may be called: short, since the hub remembers many. */
const ID = /^[!-~]{1,64}$/;

/** Messages that belong together, under the name their publisher gave them. */
export interface Publish {
  readonly id: string;
  readonly messages: readonly Message[];
}

/** What is wrong with a frame; `id` is the frame's, where it could be read. */
export interface InvalidFrame {
  readonly id: string | null;
  readonly detail: string;
}

/** The first frame to a subscriber. */
export function formatOpen(cursor: string, recovered: boolean | null): string {
  return JSON.stringify({ type: "open", cursor, recovered });
}

/** Messages, given as `formatMessageList` wrote them; the cursor is the last one's. */
export function formatMessages(cursor: string, list: string): string {
  return `{"type":"messages","cursor":"${cursor}","messages":${list}}`;
}

/** Messages after `from`, up to and including `to`, are gone. */
export function formatGap(from: string, to: string): string {
  return JSON.stringify({ type: "gap", from, to });
}

/** The last frame to a subscriber whose topic ended. */
export const END_FRAME = '{"type":"end"}';

/** A publish is in the log. */
export function formatAck(id: string, cursor: string): string {
  return JSON.stringify({ type: "ack", id, cursor });
}

/** A publish, or a frame that is none, was refused. */
export function formatError(id: string | null, problem: Problem): string {
  return JSON.stringify({ type: "error", id, problem: problemDetails(problem) });
}

/** Writes messages as a JSON array. */
export function formatMessageList(messages: readonly Message[]): string {
  // Nearly always text alone, which needs no copy.
  if (messages.every((message) => typeof message === "string")) return JSON.stringify(messages);
  return JSON.stringify(
    messages.map((message) =>
      typeof message === "string" ? message : { base64: new Uint8Array(message).toBase64() },
    ),
  );
}

/** Joins lists as if their messages had been written together. */
export function joinMessageLists(lists: readonly string[]): string {
  return `[${lists.map((list) => list.slice(1, -1)).join(",")}]`;
}

/** Reads messages back; throws on what `formatMessageList` did not write. */
export function parseMessageList(list: string): Message[] {
  const messages = parseMessages(JSON.parse(list), Infinity);
  if (!messages.ok) throw new Error(`Cannot parse messages: ${messages.error}`);
  return messages.value;
}

/** Reads a publisher's frame. */
export function parsePublish(frame: Message): Result<Publish, InvalidFrame> {
  const members = parseFrame(frame);
  if (!members.ok) return err({ id: null, detail: members.error });
  const { type, messages } = members.value;
  const id = parseId(members.value["id"]);
  if (type !== "publish") return err({ id, detail: 'Expected "type" to be "publish"' });
  if (id === null) {
    return err({ id, detail: 'Expected "id" to be 1 to 64 printable ASCII characters' });
  }
  const parsed = parseMessages(messages, MAX_PUBLISH_MESSAGES);
  return parsed.ok ? ok({ id, messages: parsed.value }) : err({ id, detail: parsed.error });
}

/** Reads a subscriber's frame, its credit: the last cursor that it has received. */
export function parseCredit(frame: Message): Result<Cursor, InvalidFrame> {
  // Before it is parsed: anyone may send it, and parsing 32 MiB takes seconds.
  if (typeof frame === "string" && frame.length > MAX_CREDIT_UNITS) {
    return err({ id: null, detail: `Expected at most ${MAX_CREDIT_UNITS} characters` });
  }
  const members = parseFrame(frame);
  if (!members.ok) return err({ id: null, detail: members.error });
  const { type, cursor: text } = members.value;
  if (type !== "ack") return err({ id: null, detail: 'Expected "type" to be "ack"' });
  const cursor = typeof text === "string" ? parseCursor(text) : null;
  if (cursor === null) return err({ id: null, detail: 'Expected "cursor" to be a cursor' });
  return ok(cursor);
}

/** Reads the id of a publish; `null` for what is none. */
export function parseId(id: unknown): string | null {
  return typeof id === "string" && ID.test(id) ? id : null;
}

interface Members {
  readonly [name: string]: unknown;
}

function parseFrame(frame: Message): Result<Members> {
  if (typeof frame !== "string") return err("Expected a text frame");
  let value: unknown;
  try {
    value = JSON.parse(frame);
  } catch (error) {
    // SyntaxError. V8 quotes the text around the fault; only the place is passed on.
    const [place] = /at position \d+/.exec(String(error)) ?? [];
    return err(`Expected JSON, found a fault ${place ?? "in its syntax"}`);
  }
  return isMembers(value) ? ok(value) : err("Expected a JSON object");
}

function parseMessages(value: unknown, maxMessages: number): Result<Message[]> {
  if (!Array.isArray(value) || value.length === 0 || value.length > maxMessages) {
    return err(`Expected "messages" to be a list of 1 to ${maxMessages} messages`);
  }
  const items: unknown[] = value;
  const messages: Message[] = [];
  for (const [index, item] of items.entries()) {
    const message = typeof item === "string" ? item : decodeBinary(item);
    if (message === null) {
      return err(`Expected "messages[${index}]" to be a text or {"base64":"…"}, padded`);
    }
    // It could not be sent to a raw subscriber: WebSocket texts are UTF-8 (RFC 6455, section 5.6).
    if (typeof message === "string" && !message.isWellFormed()) {
      return err(`Expected "messages[${index}]" to be well-formed: it has a lone surrogate`);
    }
    messages.push(message);
  }
  return ok(messages);
}

function decodeBinary(item: unknown): ArrayBuffer | null {
  if (!isMembers(item) || typeof item["base64"] !== "string") return null;
  const encoded = item["base64"];
  try {
    const { buffer } = Uint8Array.fromBase64(encoded, { lastChunkHandling: "strict" });
    // White space, which it skips, is no part of base64 (RFC 4648, section 3.1).
    return encoded.length === Math.ceil(buffer.byteLength / 3) * 4 ? buffer : null;
  } catch {
    // SyntaxError: not base64 (RFC 4648, section 4).
    return null;
  }
}

function isMembers(value: unknown): value is Members {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
