/**
 * One folder for a whole run, where the processes of the tests leave each other what is dear to make: what V8 and the
 * type stripper made of programs (each of some thousand starts costs a third less), and the bundled Worker. Vitest's
 * global setup; the folder goes with the run.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

const RUN_FOLDER = "WSPUBSUB_RUN_FOLDER";

/** What it returns is the teardown. */
export default async function setup(): Promise<() => Promise<void>> {
  const folder = await mkdtemp(join(tmpdir(), "wspubsub-run-"));
  // The processes of the tests inherit it.
  process.env[RUN_FOLDER] = folder;
  return () => rm(folder, { recursive: true, force: true });
}

/** A path in the folder; `null` outside of a run. */
export function inRunFolder(name: string): string | null {
  const folder = process.env[RUN_FOLDER];
  return folder === undefined ? null : join(folder, name);
}

/** The part of a program's environment that has Node keep what it compiled. */
export function compileCache(): Record<string, string> {
  const folder = inRunFolder("compiled");
  return folder === null ? {} : { NODE_COMPILE_CACHE: folder };
}
