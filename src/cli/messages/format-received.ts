/**
 * A received message as it goes to stdout. Invariant: a pipe gets the bytes that were published, and a terminal nothing
 * that it would obey.
 */
import type { Received } from "../../client/main.ts";
import { printable, printableJsonLine } from "../output/printable.ts";

/**
 * `json`: an object in a line. `raw`: the bytes, and nothing between two messages. `lines`: the bytes and a line feed.
 * `terminal`: a line that can be looked at.
 */
export type MessageForm = "json" | "raw" | "lines" | "terminal";

/** Formats one. */
export function formatReceived(
  { data, cursor, at }: Received,
  form: MessageForm,
): string | Uint8Array {
  const isText = typeof data === "string";
  switch (form) {
    case "json": {
      const message = isText ? { data } : { base64: Buffer.from(data).toString("base64") };
      return `${printableJsonLine({ ...message, cursor, at })}\n`;
    }
    case "raw":
      return data;
    case "lines":
      return isText ? `${data}\n` : Buffer.concat([data, LINE_FEED]);
    case "terminal":
      return `${isText ? printable(data) : `[${data.length} bytes, binary]`}\n`;
  }
}

const LINE_FEED = Buffer.from("\n");
