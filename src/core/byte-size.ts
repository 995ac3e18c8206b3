/**
 * The one measure of size: bytes as they go over the wire, UTF-8 of text. A bound is known at once, since a UTF-16 unit
 * takes three bytes at most; the number is counted only where that does not decide. Knows no policy.
 */
import type { Message } from "./message.ts";

/** Bytes of UTF-8 that a UTF-16 unit takes at most: a pair takes four. */
const MOST_BYTES_A_UNIT = 3;
/** Below so many units a loop is faster than the encoder. */
const LOOP_UNITS = 48;
/** Texts of so many units are counted by themselves; shorter ones are put together, since each call costs more. */
const LONG_UNITS = 1024;
/** Units that are encoded at a time. */
const CHUNK_UNITS = 16_384;

const encoder: TextEncoder = new TextEncoder();
/** What is encoded is not read: only how much it is. */
const scratch: Uint8Array = new Uint8Array(CHUNK_UNITS * MOST_BYTES_A_UNIT);

/** How many bytes messages have at most; counts nothing. */
export function mostBytesOf(messages: readonly Message[]): number {
  let bytes = 0;
  for (const message of messages) {
    bytes += typeof message === "string" ? message.length * MOST_BYTES_A_UNIT : message.byteLength;
  }
  return bytes;
}

/** How many bytes messages have. They are well-formed, so that putting texts together makes no pairs. */
export function bytesOf(messages: Iterable<Message>): number {
  let bytes = 0;
  let text = "";
  for (const message of messages) {
    if (typeof message !== "string" || message.length >= LONG_UNITS) {
      bytes += byteLengthOf(message);
      continue;
    }
    text += message;
    // As much as is encoded at once, and no more.
    if (text.length < CHUNK_UNITS - LONG_UNITS) continue;
    bytes += byteLengthOf(text);
    text = "";
  }
  return bytes + byteLengthOf(text);
}

/** Whether a message has more than so many bytes. */
export function isLargerThan(message: Message, maxBytes: number): boolean {
  if (typeof message === "string") {
    // Nearly every text is decided by its length.
    if (message.length > maxBytes) return true;
    if (message.length * MOST_BYTES_A_UNIT <= maxBytes) return false;
  }
  return byteLengthOf(message) > maxBytes;
}

/** How many bytes a message has. */
export function byteLengthOf(message: Message): number {
  if (typeof message !== "string") return message.byteLength;
  if (message.length < LOOP_UNITS) return loopOver(message);
  let bytes = 0;
  for (let start = 0; start < message.length;) {
    const end = endOfChunk(message, start);
    const isWhole = start === 0 && end === message.length;
    bytes += encoder.encodeInto(isWhole ? message : message.slice(start, end), scratch).written;
    start = end;
  }
  return bytes;
}

/** Never within a pair. */
function endOfChunk(text: string, start: number): number {
  const end = start + CHUNK_UNITS;
  if (end >= text.length) return text.length;
  return isHighSurrogate(text.charCodeAt(end - 1)) ? end - 1 : end;
}

/** A half of a pair takes two bytes; one that stands alone is sent as U+FFFD, which takes three. */
function loopOver(text: string): number {
  let bytes = text.length;
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    if (unit < 0x80) continue;
    if (unit < 0x800) bytes += 1;
    else if (isHighSurrogate(unit) && isLowSurrogate(text.charCodeAt(at + 1))) {
      bytes += 2;
      at += 1;
    } else bytes += 2;
  }
  return bytes;
}

function isHighSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit < 0xdc00;
}

function isLowSurrogate(unit: number): boolean {
  return unit >= 0xdc00 && unit < 0xe000;
}
