/** A new embedded database is as initdb makes it, though most are copies of one that it has made before. */
import type { PGlite } from "@electric-sql/pglite";
import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { openDatabase } from "../../src/local/open-database.ts";
import { freePort } from "../support/free-port.ts";
import { startProgram } from "../support/process.ts";

let folder: string;
let cache: string;
let made: PGlite;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "wspubsub-databases-"));
  cache = join(folder, "cache");
  made = await openDatabase(null, cache);
});

afterAll(async () => {
  await made.close();
  await rm(folder, { recursive: true, force: true });
});

test("a copy has what initdb makes, and nothing else", async () => {
  expect(await readdir(cache)).toEqual([expect.stringMatching(/^initdb-\d+\.\d+\.\d+$/)]);
  const copy = await openDatabase(null, cache);
  expect(await describeDatabase(copy)).toEqual(await describeDatabase(made));
  await copy.close();
});

test("a copy on the disk is kept, and opened again", async () => {
  const path = join(folder, "kept/data");
  const first = await openDatabase(path, cache);
  await first.exec("create table kept (n int)");
  await first.close();
  const second = await openDatabase(path, cache);
  expect((await second.query("select * from kept")).rows).toEqual([]);
  await second.close();
  expect(await readdir(join(folder, "kept"))).toEqual(["data"]);
});

test("a database that was not finished is made anew", async () => {
  const path = join(folder, "killed/data");
  await mkdir(path, { recursive: true });
  await writeFile(join(path, "PG_VERSION"), "18\n");
  await writeFile(`${path}.unfinished`, "");
  const database = await openDatabase(path, cache);
  expect((await database.query("select 1 as v")).rows).toEqual([{ v: 1 }]);
  await database.close();
});

/** Settings, locale, and every object by its name. */
async function describeDatabase(database: PGlite): Promise<unknown> {
  const queries = [
    "select name, setting from pg_settings order by name",
    "select datname, datcollate, datctype, encoding from pg_database order by datname",
    "select extname, extversion from pg_extension",
    "select rolname, rolsuper from pg_roles order by rolname",
    "select relnamespace::regnamespace::text, relname from pg_class order by oid",
  ];
  const results: unknown[] = [];
  for (const query of queries) results.push((await database.query(query)).rows);
  return results;
}

test("two that want the same port at once both get one", async () => {
  const port = await freePort();
  const args = ["src/local/postgres.ts", "--port", String(port), "--or-any"];
  const programs = [startProgram("node", args), startProgram("node", args)];
  for (const program of programs) onTestFinished(async () => void (await program.end("SIGTERM")));
  const ports = [];
  for (const program of programs) {
    const [, url = ""] = await program.line(/^Postgres {2}(\S+)$/);
    ports.push(Number(new URL(url).port));
  }
  expect(ports).toContain(port);
  expect(new Set(ports).size).toBe(2);
});
