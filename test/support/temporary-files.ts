/** Files that a test makes and that are gone after it. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";

/** A new folder. */
export async function temporaryFolder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "wspubsub-"));
  onTestFinished(() => rm(path, { recursive: true, force: true }));
  return path;
}

/** A file with a text, or with what is not a text as JSON. */
export async function fileWith(content: unknown): Promise<string> {
  const path = join(await temporaryFolder(), "file");
  await writeFile(path, typeof content === "string" ? content : JSON.stringify(content));
  return path;
}
