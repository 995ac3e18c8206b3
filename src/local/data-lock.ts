/**
 * One process a data directory: PGlite has no lock of its own, and two would corrupt the database.
 */
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { UserError } from "./fail.ts";
import { isAlive } from "./is-alive.ts";

/** Takes the directory for this process; throws a UserError that names the one that has it. */
export function lockData(directory: string): { release(): void } {
  const file = join(directory, "lock");
  try {
    writeFileSync(file, String(process.pid), { flag: "wx" });
  } catch (cause) {
    if (!isErrno(cause, "EEXIST")) throw cause;
    const owner = Number(readFileSync(file, "utf8"));
    if (isAlive(owner)) {
      throw new UserError(
        // After a crash its id may be another program's by now.
        `Cannot open ${directory}: process ${owner} uses it. Is \`npm run dev\` running already? ` +
          `If process ${owner} is something else, delete ${file}`,
      );
    }
    // Its owner was killed.
    writeFileSync(file, String(process.pid));
  }
  return { release: () => rmSync(file, { force: true }) };
}

function isErrno(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}
