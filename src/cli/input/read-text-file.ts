/** Files that the command line is given. */
import { readFile } from "node:fs/promises";
import { UserError } from "../../local/fail.ts";

/** The text of a file; throws a UserError that says why it cannot be read. */
export async function readTextFile(file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (cause) {
    // Whatever the system says: no such file, a directory, not allowed.
    const code = cause instanceof Error && "code" in cause ? String(cause.code) : String(cause);
    throw new UserError(`Cannot read ${file}: ${code}`, { cause });
  }
}
