/**
 * Opens PGlite. A new database begins as a copy of one that initdb has made before, since initdb costs seconds
 * of CPU in WebAssembly. The copy is as initdb leaves it: no table and no row of ours is in it.
 */
import { PGlite } from "@electric-sql/pglite";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { KeptFile } from "./kept-file.ts";

/** The field's place for what a package saves for the next time. */
const CACHE = join(import.meta.dirname, "../../node_modules/.cache/wspubsub");

/** Opens the database in a folder, or a new one in memory for `null`. */
export async function openDatabase(folder: string | null, cache: string = CACHE): Promise<PGlite> {
  if (folder === null) return createDatabase("memory://", cache);
  // There from before a database is made until it is whole.
  const unfinished = `${folder}.unfinished`;
  if (existsSync(unfinished)) rmSync(folder, { recursive: true, force: true });
  if (existsSync(join(folder, "PG_VERSION"))) return PGlite.create(folder);
  mkdirSync(dirname(folder), { recursive: true });
  writeFileSync(unfinished, "");
  const database = await createDatabase(folder, cache);
  rmSync(unfinished);
  return database;
}

async function createDatabase(dataDir: string, cache: string): Promise<PGlite> {
  const kept = new KeptFile(cache, "initdb", versionOfPglite());
  const dump = kept.read();
  if (dump !== null) return PGlite.create({ dataDir, loadDataDir: new Blob([dump]) });
  const database = await PGlite.create(dataDir);
  const made = await database.dumpDataDir("none");
  kept.write(Buffer.from(await made.arrayBuffer()));
  return database;
}

function versionOfPglite(): string {
  const main = fileURLToPath(import.meta.resolve("@electric-sql/pglite"));
  const { version }: { version: string } = JSON.parse(
    readFileSync(join(dirname(main), "../package.json"), "utf8"),
  );
  return version;
}
