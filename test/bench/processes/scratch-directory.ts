/**
 * Directories for the servers' files, gone when the process ends in whatever way it can notice.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

let root: string | undefined;

/** Makes a new directory. */
export function createScratchDirectory(name: string): string {
  root ??= createRoot();
  return mkdtempSync(join(root, `${name}-`));
}

function createRoot(): string {
  const directory = mkdtempSync(join(tmpdir(), "wspubsub-bench-"));
  process.once("exit", () => {
    // Retried because a server killed a moment ago may still be writing into it.
    rmSync(directory, { recursive: true, force: true, maxRetries: 5 });
  });
  return directory;
}
