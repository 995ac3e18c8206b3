/**
 * The lines of a stream, as they come: never more in memory than a line and a chunk. Invariant: a line is what stands
 * between line feeds, byte for byte, and what is no UTF-8 is refused by its number, not changed.
 */
import { isUtf8 } from "node:buffer";
import { UserError } from "../../local/fail.ts";

const LINE_FEED = 10;
/** Bytes of a line: what a frame holds (PROTOCOL.md, 10.7). */
const MOST_BYTES = 33_554_432;

/** Reads them; yields those together that came together. A last line without a line feed counts. */
export async function* readLines(
  stream: AsyncIterable<Uint8Array>,
  mostBytes: number = MOST_BYTES,
): AsyncGenerator<string[], void> {
  let begun: Uint8Array[] = [];
  let begunBytes = 0;
  let count = 0;
  for await (const chunk of stream) {
    const end = chunk.lastIndexOf(LINE_FEED);
    const rest = chunk.subarray(end + 1);
    if (end >= 0) {
      for (const lines of split(Buffer.concat([...begun, chunk.subarray(0, end)]), count)) {
        count += lines.length;
        yield lines;
      }
      begun = [];
      begunBytes = 0;
    }
    if (rest.length > 0) begun.push(rest);
    begunBytes += rest.length;
    if (begunBytes > mostBytes) throw new UserError(`Line ${count + 1} has more than 32 MiB`);
  }
  if (begunBytes > 0) yield* split(Buffer.concat(begun), count);
}

/** Reads all of a stream, within a bound. */
export async function readWhole(stream: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of stream) {
    chunks.push(chunk);
    bytes += chunk.length;
    if (bytes > MOST_BYTES) throw new UserError("stdin has more than 32 MiB: no frame holds that");
  }
  return Buffer.concat(chunks);
}

function* split(bytes: Buffer, before: number): Generator<string[]> {
  if (isUtf8(bytes)) return yield bytes.toString("utf8").split("\n");
  // As Latin-1 a line has as many characters as bytes, and line feeds stay where they are.
  const lines = bytes
    .toString("latin1")
    .split("\n")
    .map((line) => Buffer.from(line, "latin1"));
  const wrong = lines.findIndex((line) => !isUtf8(line));
  if (wrong > 0) yield lines.slice(0, wrong).map((line) => line.toString("utf8"));
  throw new UserError(
    `Line ${before + wrong + 1} is not UTF-8: --binary publishes all of stdin as it is`,
  );
}
