/**
 * The frames that clients send on a stream (PROTOCOL.md, 10.7 and 11.3): a publisher's `publish` and a
 * subscriber's `ack`, written and read. A frame is taken whole or not at all. Nothing is checked that is
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

/** What is wrong with a frame; `id` is the frame's, where it could be read. */
export interface InvalidFrame {
  readonly id: string | null;
  readonly detail: string;
}

/** Writes a publisher's frame. */
export function formatPublish({ id, after, messages }: PublishFrame): string {
  const order = after === undefined ? "" : `"after":${JSON.stringify(after)},`;
  return `{"type":"publish","id":${JSON.stringify(id)},${order}"messages":${formatMessageList(messages)}}`;
}

/** Reads a publisher's frame. */
export function parsePublish(frame: Message): Result<PublishFrame, InvalidFrame> {
  const members = parseFrame(frame);
  if (!members.ok) return err({ id: null, detail: members.error });
  const { type, messages } = members.value;
  const id = parseId(members.value["id"]);
  if (type !== "publish") return err({ id, detail: 'Expected "type" to be "publish"' });
  if (id === null) {
    return err({ id, detail: 'Expected "id" to be 1 to 64 printable ASCII characters' });
  }
  const after = members.value["after"] === undefined ? undefined : parseId(members.value["after"]);
  if (after === null) {
    return err({ id, detail: 'Expected "after" to be 1 to 64 printable ASCII characters' });
  }
  const parsed = parseMessages(messages, MAX_PUBLISH_MESSAGES);
  if (!parsed.ok) return err({ id, detail: parsed.error });
  return ok({ id, messages: parsed.value, ...(after !== undefined && { after }) });
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
