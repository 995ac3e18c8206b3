/**
 * Turns a stream of text into whole lines.
 */
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { stripVTControlCharacters } from "node:util";

/** Calls back for every line; a carriage return and colours are dropped. */
export function onLines(stream: Readable, take: (line: string) => void): void {
  createInterface({ input: stream }).on("line", (line) => take(stripVTControlCharacters(line)));
}
