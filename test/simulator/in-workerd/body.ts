/**
 * The messages that the simulator publishes. Each is unique by its number, so that whoever receives it
 * knows which one it is; its key is its whole content, so that a changed byte makes it a stranger.
 */
import { byteLengthOf } from "../../../src/core/byte-size.ts";

/** What a frame has beside its content, at most. */
const MOST_HEAD_BYTES = 120;

/** What kinds of content there are. */
export const BODY_KINDS = ["text", "binary", "long", "large", "unicode"] as const;
export type BodyKind = (typeof BODY_KINDS)[number];

/** A message as a raw socket carries it. */
export type Body = string | ArrayBuffer;

/** Makes the content of a message that is known by its name. */
export function createBody(name: string, kind: BodyKind): Body {
  switch (kind) {
    case "text":
      return name;
    case "binary":
      return new Uint8Array([...new TextEncoder().encode(name), 0, 255, 192, 10]).buffer;
    case "long":
      return `${name} ${"long ".repeat(200)}`;
    case "large":
      return name.padEnd(4000, " large");
    case "unicode":
      return `${name} "é\\😀\u2028\n`;
  }
}

/** A text that stands for a content and for no other. */
export function keyOf(body: Body): string {
  if (typeof body === "string") return `text ${body}`;
  return `binary ${new TextDecoder("latin1").decode(body)}`;
}

/** Bytes that a frame takes at most that has a message of this content alone, on a stream or raw. */
export function mostBytesOf(body: Body): number {
  if (typeof body !== "string") return 2 * body.byteLength + MOST_HEAD_BYTES;
  return byteLengthOf(JSON.stringify(body)) + MOST_HEAD_BYTES;
}

/** A key as people want to read it in a report. */
export function shortKey(key: string): string {
  return key
    .split(" ", 2)
    .join(" ")
    .replaceAll(/[^ -~]/g, "");
}
