/**
 * The frames that the hub sends on a stream (PROTOCOL.md, 10.3 to 10.8), written and read. The reader is a
 * client's: cursors are opaque to it (9.1), what a later hub adds does not disturb it (10.1), and what is wrong
 * with a frame it says without its content.
 */
import { isEndReason, type EndReason } from "./end-reason.ts";
import { isMembers, parseFrame, parseId, type Members } from "./frame.ts";
import { HEARTBEAT_RESPONSE } from "./heartbeat.ts";
import type { Message } from "./message.ts";
import { problemDetails, type Problem, type ProblemDetails } from "./problem.ts";
import { err, ok, type Result } from "./result.ts";
import { formatSpans, parseSpans, type Span } from "./span.ts";
import { parseMessages } from "./stream.ts";

/** What a client receives; members as the functions below write them. */
export type HubFrame =
  | { readonly type: "open"; readonly cursor: string; readonly recovered: boolean | null }
  | {
      readonly type: "messages";
      readonly cursor: string;
      /** When they were published; `null` from a hub of version 0.1. */
      readonly at: readonly Span[] | null;
      readonly messages: readonly Message[];
    }
  | { readonly type: "gap"; readonly from: string; readonly to: string }
  /** `null`: nobody said why, or in a word that a later hub knows. */
  | { readonly type: "end"; readonly reason: EndReason | null }
  | { readonly type: "ack"; readonly id: string; readonly cursor: string }
  | { readonly type: "error"; readonly id: string | null; readonly problem: ProblemDetails }
  /** The answer to a heartbeat, the one frame that is not JSON (7.2). */
  | { readonly type: "heartbeat" }
  /** Of a type that a later hub may know: to be ignored. */
  | { readonly type: "unknown" };

const CURSOR = /^[0-9A-Za-z._~-]{1,64}$/;
const PROBLEM_TYPE = /^urn:wspubsub:problem:[a-z-]+$/;

/** The first frame to a subscriber. */
export function formatOpen(cursor: string, recovered: boolean | null): string {
  return JSON.stringify({ type: "open", cursor, recovered });
}

/** Messages, given as `formatMessageList` wrote them; the cursor is the last one's. */
export function formatMessages(cursor: string, at: readonly Span[], list: string): string {
  return `{"type":"messages","cursor":"${cursor}","at":${formatSpans(at)},"messages":${list}}`;
}

/** Messages after `from`, up to and including `to`, are gone. */
export function formatGap(from: string, to: string): string {
  return JSON.stringify({ type: "gap", from, to });
}

/** The last frame to a subscriber whose topic ended. */
export function formatEnd(reason: EndReason): string {
  return JSON.stringify({ type: "end", reason });
}

/** A publish is in the log. */
export function formatAck(id: string, cursor: string): string {
  return JSON.stringify({ type: "ack", id, cursor });
}

/** A publish, or a frame that is none, was refused. */
export function formatError(id: string | null, problem: Problem): string {
  return JSON.stringify({ type: "error", id, problem: problemDetails(problem) });
}

/** Reads a frame of the hub's, in either role. */
export function parseHubFrame(frame: Message): Result<HubFrame> {
  if (frame === HEARTBEAT_RESPONSE) return ok({ type: "heartbeat" });
  const members = parseFrame(frame);
  if (!members.ok) return members;
  switch (members.value["type"]) {
    case "open":
      return parseOpen(members.value);
    case "messages":
      return parseMessagesFrame(members.value);
    case "gap":
      return parseGap(members.value);
    case "end":
      return parseEnd(members.value);
    case "ack":
      return parseAck(members.value);
    case "error":
      return parseError(members.value);
    default:
      return typeof members.value["type"] === "string"
        ? ok({ type: "unknown" })
        : err('Expected "type" to be a text');
  }
}

function parseOpen({ cursor, recovered }: Members): Result<HubFrame> {
  if (!isCursor(cursor)) return notACursor("cursor");
  return recovered === null || typeof recovered === "boolean"
    ? ok({ type: "open", cursor, recovered })
    : err('Expected "recovered" to be true, false or null');
}

function parseMessagesFrame({ cursor, at, messages: list }: Members): Result<HubFrame> {
  if (!isCursor(cursor)) return notACursor("cursor");
  const messages = parseMessages(list);
  if (!messages.ok) return messages;
  const spans = at === undefined ? ok(null) : parseSpans(at, messages.value.length);
  if (!spans.ok) return spans;
  return ok({ type: "messages", cursor, at: spans.value, messages: messages.value });
}

function parseGap({ from, to }: Members): Result<HubFrame> {
  if (!isCursor(from)) return notACursor("from");
  return isCursor(to) ? ok({ type: "gap", from, to }) : notACursor("to");
}

/** Hubs of before gave no reason. */
function parseEnd({ reason }: Members): Result<HubFrame> {
  return reason === undefined || typeof reason === "string"
    ? ok({ type: "end", reason: isEndReason(reason) ? reason : null })
    : err('Expected "reason" to be a text');
}

function parseAck({ id: text, cursor }: Members): Result<HubFrame> {
  const id = parseId(text);
  if (id === null) return err('Expected "id" to be 1 to 64 printable ASCII characters');
  return isCursor(cursor) ? ok({ type: "ack", id, cursor }) : notACursor("cursor");
}

function parseError({ id: text, problem: details }: Members): Result<HubFrame> {
  const id = parseId(text);
  if (id === null && text !== null) {
    return err('Expected "id" to be 1 to 64 printable ASCII characters, or null');
  }
  const problem = parseProblem(details);
  return problem === null
    ? err('Expected "problem" to have type, title, status and detail')
    : ok({ type: "error", id, problem });
}

function parseProblem(value: unknown): ProblemDetails | null {
  if (!isMembers(value)) return null;
  const { type, title, status, detail, retryAfter } = value;
  if (typeof type !== "string" || !PROBLEM_TYPE.test(type)) return null;
  if (typeof title !== "string" || typeof detail !== "string" || !isInteger(status)) return null;
  if (retryAfter === undefined) return { type, title, status, detail };
  return isInteger(retryAfter) ? { type, title, status, detail, retryAfter } : null;
}

function isCursor(value: unknown): value is string {
  return typeof value === "string" && CURSOR.test(value);
}

function isInteger(value: unknown): value is number {
  return Number.isInteger(value);
}

function notACursor(member: string): Result<never> {
  return err(`Expected "${member}" to be a cursor`);
}
