/**
 * What all frames of the stream have in common, in both directions (PROTOCOL.md, 10.1): a text that holds one JSON
 * object. Members that nobody asks for are ignored. What is wrong is said with its place, never with its content.
 */
import type { Message } from "./message.ts";
import { err, ok, type Result } from "./result.ts";

/** What a publish may be called: short, since the hub remembers many. */
const ID = /^[!-~]{1,64}$/;

/** The members of a frame, or of an object within one. */
export interface Members {
  readonly [name: string]: unknown;
}

/** Reads a frame's members. */
export function parseFrame(frame: Message): Result<Members> {
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

/** Reads the id of a publish; `null` for what is none. */
export function parseId(id: unknown): string | null {
  return typeof id === "string" && ID.test(id) ? id : null;
}

/** Whether a value is a JSON object. */
export function isMembers(value: unknown): value is Members {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
