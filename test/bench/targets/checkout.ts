/** The dependencies of a Worker's sources: those of its own checkout, or ours where that has none. */
import { existsSync } from "node:fs";
import { cp, symlink } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { createScratchDirectory } from "../processes/scratch-directory.ts";

/** Where wrangler is, the rest is as well. */
const ourModules: string = dirname(
  dirname(fileURLToPath(import.meta.resolve("wrangler/package.json"))),
);

/** The path of a configuration whose sources find their dependencies: of this one, or of a copy's. */
export async function withDependencies(configPath: string): Promise<string> {
  const directory = dirname(configPath);
  if (hasDependencies(directory)) return configPath;
  // A copy, because the other checkout is not ours to put a link into.
  const copy = createScratchDirectory("checkout");
  await cp(directory, copy, { recursive: true, filter: (path) => basename(path) !== ".git" });
  await symlink(ourModules, join(copy, "node_modules"));
  return join(copy, basename(configPath));
}

/** Whether there are any here or further up, where they are looked for too. */
function hasDependencies(directory: string): boolean {
  if (existsSync(join(directory, "node_modules"))) return true;
  const parent = dirname(directory);
  return parent !== directory && hasDependencies(parent);
}
