/** Files, stdin among them, that people give to the programs of this checkout: text in UTF-8, of a bounded size. */
import { closeSync, fstatSync, openSync, readSync, type Stats } from "node:fs";
import { UserError } from "./fail.ts";

/** Bytes; key sets and settings are far smaller. */
const MOST_BYTES = 1024 * 1024;

/** The text of a file, without a byte order mark; throws a UserError that says why it cannot be read, and quotes nothing. */
export function readTextFile(file: string): string {
  return decode(file, readBytes(file));
}

/** The text on stdin, likewise. */
export async function readStdin(): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of process.stdin) {
    const bytes = Buffer.from(chunk);
    length += bytes.length;
    if (length > MOST_BYTES) throw tooLarge("stdin");
    chunks.push(bytes);
  }
  return decode("stdin", Buffer.concat(chunks));
}

function readBytes(file: string): Buffer {
  let descriptor: number | null = null;
  try {
    descriptor = openSync(file, "r");
    const fault = faultOf(file, fstatSync(descriptor));
    if (fault !== null) throw new UserError(`Cannot read ${file}: ${fault}`);
    return readAll(file, descriptor);
  } catch (cause) {
    if (cause instanceof UserError) throw cause;
    // Whatever the system says: no such file, not allowed.
    const code = cause instanceof Error && "code" in cause ? String(cause.code) : String(cause);
    throw new UserError(`Cannot read ${file}: ${code}`, { cause });
  } finally {
    if (descriptor !== null) closeSync(descriptor);
  }
}

function faultOf(file: string, stats: Stats): string | null {
  if (stats.isDirectory()) return "it is a folder. Give a file";
  // Some devices never end. A pipe is fine: `<(…)`.
  const isDevice = stats.isCharacterDevice() || stats.isBlockDevice();
  return isDevice && file !== "/dev/null" ? "it is a device. Give a file" : null;
}

function readAll(file: string, descriptor: number): Buffer {
  const buffer = Buffer.alloc(MOST_BYTES + 1);
  let length = 0;
  for (;;) {
    const count = readSync(descriptor, buffer, length, buffer.length - length, null);
    if (count === 0) return buffer.subarray(0, length);
    length += count;
    if (length > MOST_BYTES) throw tooLarge(file);
  }
}

function tooLarge(file: string): UserError {
  return new UserError(`Cannot read ${file}: it has more than 1 MiB. Is it the right one?`);
}

function decode(file: string, bytes: Buffer): string {
  // Every second byte of what is Latin in UTF-16.
  if (bytes.includes(0)) {
    throw new UserError(`Cannot read ${file}: it is UTF-16, or no text. Save it as UTF-8`);
  }
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    // TypeError: some bytes are none of UTF-8.
    throw new UserError(`Cannot read ${file}: it is not UTF-8. Save it as UTF-8`, { cause });
  }
}
