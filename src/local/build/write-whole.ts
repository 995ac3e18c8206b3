/** Files that a build leaves: whole at any moment, since several builds may run at once, and untouched where nothing changed. */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { basename, dirname } from "node:path";

/** Writes it unless that is what it holds. */
export function writeWhole(path: string, content: string | Uint8Array): void {
  const bytes = Buffer.from(content);
  if (read(path)?.equals(bytes) === true) return;
  mkdirSync(dirname(path), { recursive: true });
  // Beside the folder, whose other files a build may take away.
  const draft = `${dirname(path)}-${process.pid}-${basename(path)}`;
  writeFileSync(draft, bytes);
  renameSync(draft, path);
}

function read(path: string): Buffer | null {
  try {
    return readFileSync(path);
  } catch {
    // ENOENT: it was not built yet. Any other reason: writing it says so.
    return null;
  }
}
