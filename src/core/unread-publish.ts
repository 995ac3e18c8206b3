/**
 * What can be told of a publisher's frame without parsing it, so that one that is to be refused anyway costs next to
 * nothing (PROTOCOL.md, 14.4 and 14.5). Parsing takes seconds and a gigabyte for a frame of 32 MiB that is made for it,
 * and a twentieth of a second for an honest one. Pure; what it lets pass may still be no frame.
 */
import { MAX_PUBLISH_MESSAGES } from "./client-frame.ts";
import { parseId } from "./frame.ts";

/** How far into a frame its id is looked for. */
const HEAD_UNITS = 256;
/** How far into a frame its messages are counted. */
const COUNTED_UNITS = 65_536;
/** A frame counts as a message for each so many units at least: in vain costs the network, too. */
const UNITS_A_MESSAGE = 32_768;
/** UTF-16 units that a byte of a message takes at most: base64, each of its characters written as `\u0041`. */
const UNITS_A_BYTE = 8;
/** Braces, quotes, a name and padding around one message. */
const UNITS_AROUND_MESSAGE = 128;
/** Type, id, white space, and members that the hub does not know. */
const UNITS_AROUND_PUBLISH = 65_536;

/** Characters outside of strings: a thousand messages, indented, take half of it. */
const MAX_UNITS_OUTSIDE_STRINGS = 65_536;
const QUOTE = 34;
const BACKSLASH = 92;

/** A JSON string, and what may stand before the id: members that are neither lists nor objects. */
const STRING = String.raw`"(?:[^"\\]|\\.)*"`;
const SCALAR = String.raw`(?:${STRING}|-?\d[\d.eE+-]*|true|false|null)`;
const ID_MEMBER = new RegExp(
  String.raw`^\s*\{(?:\s*${STRING}\s*:\s*${SCALAR}\s*,)*\s*"id"\s*:\s*(${STRING})`,
);
/** What stands between two messages, or two members. */
const SEPARATOR = /["}]\s*,\s*["{]/g;
/** Separators in front of the messages of an ordinary publish: after its type, after its id. */
const SEPARATORS_BEFORE = 2;

/** The most UTF-16 units that a publish may have in a domain that takes messages of so many bytes. */
export function maxPublishUnits(maxMessageBytes: number): number {
  const message = maxMessageBytes * UNITS_A_BYTE + UNITS_AROUND_MESSAGE;
  return UNITS_AROUND_PUBLISH + MAX_PUBLISH_MESSAGES * message;
}

/** The id of a publish, `null` where it does not stand in the frame's first 256 characters. */
export function readId(frame: string): string | null {
  const [, text] = ID_MEMBER.exec(frame.slice(0, HEAD_UNITS)) ?? [];
  if (text === undefined) return null;
  try {
    return parseId(JSON.parse(text));
  } catch {
    // SyntaxError: no JSON string, such as one with an unknown escape.
    return null;
  }
}

/** Whether a frame may be a `finish` without messages, which no rate holds up. So short, it costs little to parse. */
export function mayFinish(frame: string): boolean {
  return frame.length <= HEAD_UNITS && frame.includes('"finish"');
}

/** About how many messages a publish has, 1 at least and 1,000 at most. */
export function countMessages(frame: string): number {
  const separators = frame.slice(0, COUNTED_UNITS).match(SEPARATOR)?.length ?? 0;
  const bySize = Math.ceil(frame.length / UNITS_A_MESSAGE);
  return Math.min(MAX_PUBLISH_MESSAGES, Math.max(1, separators - SEPARATORS_BEFORE + 1, bySize));
}

/** Whether a frame has more outside of its strings than a publish needs: that is what parsing is slow at. */
export function isOverstructured(frame: string): boolean {
  if (frame.length <= MAX_UNITS_OUTSIDE_STRINGS) return false;
  let outside = 0;
  for (let at = 0; at < frame.length && outside <= MAX_UNITS_OUTSIDE_STRINGS;) {
    const quote = frame.indexOf('"', at);
    const end = quote < 0 ? frame.length : quote;
    outside += end - at;
    at = endOfString(frame, end + 1);
  }
  return outside > MAX_UNITS_OUTSIDE_STRINGS;
}

/** Where a string ends of which the content begins at `at`; the frame's end for one without. */
function endOfString(frame: string, at: number): number {
  const quote = frame.indexOf('"', at);
  if (quote < 0) return frame.length;
  // Nearly no text has an escaped quote; one that has may have many, and is walked through.
  if (frame.charCodeAt(quote - 1) !== BACKSLASH) return quote + 1;
  for (let next = at; next < frame.length; next++) {
    const unit = frame.charCodeAt(next);
    if (unit === QUOTE) return next + 1;
    if (unit === BACKSLASH) next++;
  }
  return frame.length;
}
