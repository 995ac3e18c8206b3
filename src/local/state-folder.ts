/**
 * The folder with all that `npm run dev` keeps: the database (`postgres`), the objects (`hub`), where the hub is
 * (`running.json`). One hub at a time has it, whatever database that uses.
 */
import { rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { UserError } from "./fail.ts";
import { isPostgresFolder } from "./postgres-folder.ts";
import { findRunningHub, forgetRunningHub } from "./running-hub.ts";
import { namesIn, takeFolder, type Contents } from "./take-folder.ts";

/** What wrangler keeps in `hub`. */
const OBJECTS = "v3";

const CONTENTS: Contents = {
  hub: (path) => namesIn(path).every((name) => name === OBJECTS),
  postgres: isPostgresFolder,
  "running.json": () => true,
};

/** Takes the folder for this process; with `fresh` without objects. Throws a UserError. */
export function openState(folder: string, { fresh }: { readonly fresh: boolean }): void {
  if (folder === "") throw new UserError("--state needs a folder");
  const path = resolve(folder);
  takeFolder(path, CONTENTS, describeUse);
  forgetRunningHub(path);
  const objects = join(path, "hub", OBJECTS);
  if (fresh) rmSync(objects, { recursive: true, force: true });
  // Until wrangler was told not to, it recorded every request there, with the key in its path.
  rmSync(join(objects, "observability"), { recursive: true, force: true });
}

function describeUse(path: string): string {
  const hub = findRunningHub(path);
  const where = hub === null ? "" : `, with the hub at ${hub.hubUrl}`;
  return (
    `Cannot use ${path}: another process uses it${where}. Is \`npm run dev\` running already? ` +
    "For a second hub give --state another folder"
  );
}
