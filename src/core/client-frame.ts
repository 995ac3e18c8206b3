/**
 * The frames that clients send on a stream (PROTOCOL.md, 10.7, 10.14 and 11.3): a publisher's `publish` and `finish`,
 * and a subscriber's `ack`, written and read. A frame is taken whole or not at all. Nothing is checked that is
 * written: the hub refuses what is not of the form.
 */
import { parseCursor, type Cursor } from "./cursor.ts";
import { parseFrame, parseId } from "./frame.ts";
import type { Message } from "./message.ts";
import { err, ok, type Result } from "./result.ts";
import { formatMessageList, parseMessages } from "./stream.ts";

/** Messages of one `publish`. */
export const MAX_PUBLISH_MESSAGES = 1000;
/** UTF-16 units of a subscriber's frame: twice what its longest cursor takes, and members that are unknown. */
const MAX_ACK_UNITS = 256;

/** Messages that belong together, under the name their publisher gave them. */
export interface PublishFrame {
  readonly id: string;
  /** The id of the publish that it must not overtake. */
  readonly after?: string | undefined;
  readonly messages: readonly Message[];
}

/** What a publisher sends: messages, or the end of the topic behind some messages or none. */
export interface PublisherFrame extends PublishFrame {
  readonly type: "publish" | "finish";
}

/** What is wrong with a frame; `id` is the frame's, where it could be read. */
export interface InvalidFrame {
  readonly id: string | null;
  readonly detail: string;
}

/** Writes messages. */
export function formatPublish(publish: PublishFrame): string {
  return `${formatHead("publish", publish)},"messages":${formatMessageList(publish.messages)}}`;
}

/** Writes the end of a topic, behind some messages or none. */
export function formatFinish(finish: PublishFrame): string {
  const { messages } = finish;
  const list = messages.length === 0 ? "" : `,"messages":${formatMessageList(messages)}`;
  return `${formatHead("finish", finish)}${list}}`;
}

/** Reads messages alone. */
export function parsePublish(frame: Message): Result<PublishFrame, InvalidFrame> {
  const parsed = parse(frame, ["publish"]);
  if (!parsed.ok) return parsed;
  const { type: _, ...publish } = parsed.value;
  return ok(publish);
}

/** Reads a publisher's frame. */
export function parsePublisherFrame(frame: Message): Result<PublisherFrame, InvalidFrame> {
  return parse(frame, ["publish", "finish"]);
}

function formatHead(type: PublisherFrame["type"], { id, after }: PublishFrame): string {
  const order = after === undefined ? "" : `,"after":${JSON.stringify(after)}`;
  return `{"type":"${type}","id":${JSON.stringify(id)}${order}`;
}

function parse(
  frame: Message,
  types: readonly PublisherFrame["type"][],
): Result<PublisherFrame, InvalidFrame> {
  const members = parseFrame(frame);
  if (!members.ok) return err({ id: null, detail: members.error });
  const { messages } = members.value;
  const id = parseId(members.value["id"]);
  const type = types.find((known) => known === members.value["type"]);
  if (type === undefined) {
    const known = types.map((each) => `"${each}"`).join(" or ");
    return err({ id, detail: `Expected "type" to be ${known}` });
  }
  if (id === null) {
    return err({ id, detail: 'Expected "id" to be 1 to 64 printable ASCII characters' });
  }
  const after = members.value["after"] === undefined ? undefined : parseId(members.value["after"]);
  if (after === null) {
    return err({ id, detail: 'Expected "after" to be 1 to 64 printable ASCII characters' });
  }
  const isBare = type === "finish" && messages === undefined;
  const parsed = isBare ? ok([]) : parseMessages(messages, MAX_PUBLISH_MESSAGES);
  if (!parsed.ok) return err({ id, detail: parsed.error });
  return ok({ type, id, messages: parsed.value, ...(after !== undefined && { after }) });
}

/** Writes a subscriber's frame: the last cursor that it has received, as it received it. */
export function formatSubscriberAck(cursor: string): string {
  return JSON.stringify({ type: "ack", cursor });
}

/** Reads a subscriber's frame. */
export function parseSubscriberAck(frame: Message): Result<Cursor, InvalidFrame> {
  // Before it is parsed: anyone may send it, and parsing 32 MiB takes seconds.
  if (typeof frame === "string" && frame.length > MAX_ACK_UNITS) {
    return err({ id: null, detail: `Expected at most ${MAX_ACK_UNITS} characters` });
  }
  const members = parseFrame(frame);
  if (!members.ok) return err({ id: null, detail: members.error });
  const { type, cursor: text } = members.value;
  if (type !== "ack") return err({ id: null, detail: 'Expected "type" to be "ack"' });
  const cursor = typeof text === "string" ? parseCursor(text) : null;
  if (cursor === null) return err({ id: null, detail: 'Expected "cursor" to be a cursor' });
  return ok(cursor);
}
