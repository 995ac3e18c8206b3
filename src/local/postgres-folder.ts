/** The folder that the embedded Postgres keeps its data in. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { namesIn, type Contents } from "./take-folder.ts";

/** What is in it. A server's data, which is not ours, has the server's options beside it. */
export const POSTGRES_CONTENTS: Contents = {
  data: (path) => !existsSync(join(path, "postmaster.opts")),
  // While a new database is being made.
  "data.unfinished": () => true,
  // Of version 0.1.
  lock: () => true,
};

/** Whether a folder may be one: it has nothing else. */
export function isPostgresFolder(path: string): boolean {
  return namesIn(path).every((name) => POSTGRES_CONTENTS[name]?.(join(path, name)) ?? false);
}
