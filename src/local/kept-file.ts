/**
 * A file that saves work the next time and that nothing depends on: a program that cannot read it, or reads what is not
 * whole, makes its content anew. Many processes may read and write it at once.
 */
import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const HASH_BYTES = 32;

/** The file of a version; all others of its kind are old. */
export class KeptFile {
  readonly #folder: string;
  readonly #kind: string;
  readonly #name: string;

  /** Kind and version are words. */
  constructor(folder: string, kind: string, version: string) {
    this.#folder = folder;
    this.#kind = kind;
    this.#name = `${kind}-${version}`;
  }

  /** What was kept, `null` if there is nothing whole. */
  read(): NonSharedBuffer | null {
    try {
      const file = readFileSync(join(this.#folder, this.#name));
      const content = file.subarray(HASH_BYTES);
      return hash(content).equals(file.subarray(0, HASH_BYTES)) ? content : null;
    } catch (cause) {
      // ENOENT: not kept yet. EACCES, ENOTDIR, EIO and their like: not to be had.
      if (isErrno(cause)) return null;
      throw cause;
    }
  }

  /** Keeps it if that can be, in place of all of its kind. */
  write(content: Buffer): void {
    const draft = join(this.#folder, `${this.#name}.${process.pid}`);
    try {
      mkdirSync(this.#folder, { recursive: true });
      // Renamed into place: nobody ever reads half of it.
      writeFileSync(draft, Buffer.concat([hash(content), content]));
      renameSync(draft, join(this.#folder, this.#name));
      for (const name of readdirSync(this.#folder)) {
        const isOld = name.startsWith(`${this.#kind}-`) && name !== this.#name;
        if (isOld) rmSync(join(this.#folder, name), { force: true });
      }
    } catch (cause) {
      // EROFS, EACCES, ENOSPC: a place that keeps nothing. ENOENT: another took our draft for an old file.
      if (!isErrno(cause)) throw cause;
      removeQuietly(draft);
    }
  }
}

function removeQuietly(path: string): void {
  try {
    rmSync(path, { force: true });
  } catch (cause) {
    // Where nothing may be written, nothing was.
    if (!isErrno(cause)) throw cause;
  }
}

function hash(content: Buffer): Buffer {
  return createHash("sha256").update(content).digest();
}

function isErrno(error: unknown): boolean {
  return error instanceof Error && "code" in error;
}
