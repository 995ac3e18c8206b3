/**
 * Makes messages of a body (PROTOCOL.md, 17.2 to 17.4), all of it or nothing. Messages are taken as they are: nobody
 * looks into their JSON. Pure; what is wrong is said with its place, never with its content.
 */
import { MAX_PUBLISH_MESSAGES, parsePublisherFrame } from "../core/client-frame.ts";
import type { Message } from "../core/message.ts";
import type { Problem } from "../core/problem.ts";
import { err, ok, type Result } from "../core/result.ts";
import { isOverstructured } from "../core/unread-publish.ts";
import type { BodyKind } from "./media-type.ts";

/** What a body has. */
export interface PostedBody {
  readonly messages: readonly Message[];
  /** Whether nothing follows. */
  readonly isFinish: boolean;
  /** The id and the predecessor that a frame names itself. */
  readonly id?: string;
  readonly after?: string | undefined;
}

const LINE_FEED = 10;

const decoder: TextDecoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Reads a body; `isFinish`: it is the last of its topic, and an empty one is no message. */
export function parsePost(
  bytes: Uint8Array,
  kind: BodyKind,
  isFinish: boolean,
): Result<PostedBody, Problem> {
  if (isFinish && bytes.length === 0) return ok({ messages: [], isFinish });
  const body = parseBody(bytes, kind);
  return body.ok && isFinish ? ok({ ...body.value, isFinish }) : body;
}

function parseBody(bytes: Uint8Array, kind: BodyKind): Result<PostedBody, Problem> {
  if (kind === "bytes") return ok({ messages: [bufferOf(bytes)], isFinish: false });
  const text = decode(bytes);
  if (text === null) {
    return refuse(kind === "lines" ? describeBadLine(bytes) : "The body is not UTF-8");
  }
  switch (kind) {
    case "text":
      return ok({ messages: [text], isFinish: false });
    case "lines":
      return parseLines(text);
    case "frame":
      return parseFrameBody(text);
  }
}

function parseLines(text: string): Result<PostedBody, Problem> {
  const lines = text.split("\n", MAX_PUBLISH_MESSAGES + 2);
  // The line feed ends the last line, too, where there is one.
  if (lines.at(-1) === "") lines.pop();
  if (lines.length === 0) return refuse("Line 1: Expected a message");
  if (lines.length > MAX_PUBLISH_MESSAGES) {
    return refuse(
      `Line ${MAX_PUBLISH_MESSAGES + 1}: Expected at most ${MAX_PUBLISH_MESSAGES} lines`,
    );
  }
  const empty = lines.findIndex((line) => line.trim() === "");
  return empty < 0
    ? ok({ messages: lines, isFinish: false })
    : refuse(`Line ${empty + 1}: Expected a message`);
}

function parseFrameBody(text: string): Result<PostedBody, Problem> {
  if (isOverstructured(text)) return refuseFrame("Expected less that is not in strings");
  const frame = parsePublisherFrame(text);
  if (!frame.ok) return refuseFrame(frame.error.detail);
  const { type, ...publish } = frame.value;
  return ok({ ...publish, isFinish: type === "finish" });
}

/** Finds the line that is no UTF-8; a line feed is never a part of another character. */
function describeBadLine(bytes: Uint8Array): string {
  for (let line = 1, start = 0; ; line += 1) {
    const end = bytes.indexOf(LINE_FEED, start);
    if (end < 0 || decode(bytes.subarray(start, end)) === null)
      return `Line ${line}: Expected UTF-8`;
    start = end + 1;
  }
}

function decode(bytes: Uint8Array): string | null {
  try {
    return decoder.decode(bytes);
  } catch {
    // TypeError: not UTF-8.
    return null;
  }
}

/** The bytes alone: they may lie in a larger buffer. */
function bufferOf(bytes: Uint8Array): ArrayBuffer {
  return Uint8Array.from(bytes).buffer;
}

function refuse(detail: string): Result<never, Problem> {
  return err({ slug: "invalid-body", detail });
}

function refuseFrame(detail: string): Result<never, Problem> {
  return err({ slug: "invalid-frame", detail });
}
