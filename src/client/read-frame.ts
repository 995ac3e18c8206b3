/**
 * Reads the hub's frames (PROTOCOL.md, 10.3 to 10.8), whole or not at all. It asks for what its users need and for
 * no more, since a page loads each word of it: what is written strictly need not be read strictly. Invariant: what
 * is no frame is `null`, and nothing is thrown.
 */
import { HEARTBEAT_RESPONSE } from "../core/heartbeat.ts";
import { HubError } from "./hub-error.ts";
import type { Message, Received } from "./types.ts";

/** What a client receives. */
export type Frame =
  | { readonly type: "open"; readonly cursor: string }
  | {
      readonly type: "messages";
      readonly cursor: string;
      readonly messages: readonly Omit<Received, "cursor">[];
    }
  | { readonly type: "gap"; readonly from: string; readonly to: string }
  | { readonly type: "end"; readonly reason: string | null }
  | { readonly type: "ack"; readonly id: string; readonly cursor: string }
  | { readonly type: "error"; readonly id: string | null; readonly error: HubError }
  /** The answer to a heartbeat, or of a type that a later hub may know: to be ignored. */
  | { readonly type: null };

interface Members {
  readonly [name: string]: unknown;
}

/** Reads what a socket received. */
export function readFrame(data: unknown): Frame | null {
  if (data === HEARTBEAT_RESPONSE) return { type: null };
  try {
    return toFrame(JSON.parse(toText(data)));
  } catch {
    // SyntaxError, TypeError, InvalidCharacterError of `atob`: it is none.
    return null;
  }
}

function toFrame({ type, id, cursor, from, to, reason, at, messages, problem }: Members): Frame {
  switch (type) {
    case "open":
      return { type, cursor: toText(cursor) };
    case "messages":
      return { type, cursor: toText(cursor), messages: toMessages(messages, at) };
    case "gap":
      return { type, from: toText(from), to: toText(to) };
    case "end":
      return { type, reason: reason === undefined ? null : toText(reason) };
    case "ack":
      return { type, id: toText(id), cursor: toText(cursor) };
    case "error":
      return { type, id: id === null ? id : toText(id), error: toError(toMembers(problem)) };
    default:
      toText(type);
      return { type: null };
  }
}

/** `at` is one time, a list of `[count, time]`, or not there (10.4). */
function toMessages(items: unknown, at: unknown): Omit<Received, "cursor">[] {
  const spans = toList(Array.isArray(at) ? at : [[Infinity, at]]);
  let left = 0;
  let next = 0;
  let time: Date | null = null;
  return toList(items).map((item) => {
    while (left < 1) {
      const [count, text] = toList(spans[next++]);
      left = Number(count);
      time = text === undefined ? null : new Date(toText(text));
    }
    left -= 1;
    return { data: typeof item === "string" ? item : toBytes(toMembers(item)), at: time };
  });
}

/** A loop: `fromBase64` is not everywhere, and `Uint8Array.from` is slow. */
function toBytes({ base64 }: Members): Message {
  const binary = atob(toText(base64));
  const bytes = new Uint8Array(binary.length);
  for (let at = 0; at < bytes.length; at++) bytes[at] = binary.charCodeAt(at);
  return bytes;
}

function toError({ type, detail, status, retryAfter }: Members): HubError {
  return new HubError(toText(type).replace(/.*:/, ""), toText(detail), {
    status: Number(status),
    ...(typeof retryAfter === "number" && { retryAfter }),
  });
}

function toText(value: unknown): string {
  if (typeof value !== "string") throw new TypeError();
  return value;
}

function toList(value: unknown): readonly unknown[] {
  if (!Array.isArray(value)) throw new TypeError();
  return value;
}

/** What has no members has none of those that are asked for. */
function toMembers(value: unknown): Members {
  return Object(value);
}
