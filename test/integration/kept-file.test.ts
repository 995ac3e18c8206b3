/** What is kept for the next time is whole or not there, and where nothing can be kept nothing fails. */
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { KeptFile } from "../../src/local/kept-file.ts";

let folder: string;
let file: KeptFile;
const content = Buffer.from("content");

beforeEach(async () => {
  folder = join(await mkdtemp(join(tmpdir(), "wspubsub-kept-")), "deep/cache");
  file = new KeptFile(folder, "thing", "1.2");
});

afterEach(() => rm(join(folder, "../.."), { recursive: true, force: true }));

test("nothing, then what was kept", () => {
  expect(file.read()).toBeNull();
  file.write(content);
  expect(file.read()).toEqual(content);
});

test.each([
  ["cut off", (bytes: Buffer) => bytes.subarray(0, -1)],
  ["empty", () => Buffer.alloc(0)],
  ["shorter than its hash", (bytes: Buffer) => bytes.subarray(0, 20)],
  ["changed", (bytes: Buffer) => Buffer.concat([bytes.subarray(0, -1), Buffer.from("x")])],
])("a file that is %s counts for nothing, and is made anew", async (_, damage) => {
  file.write(content);
  const path = join(folder, "thing-1.2");
  await writeFile(path, damage(await readFile(path)));
  expect(file.read()).toBeNull();
  file.write(content);
  expect(file.read()).toEqual(content);
});

test("old ones of its kind go, and drafts that were left, but nothing else", async () => {
  await mkdir(folder, { recursive: true });
  const names = ["thing-1.1", "thing-1.2.77", "thing-1.20", "things-1.1", "other"];
  for (const name of names) await writeFile(join(folder, name), "");
  file.write(content);
  expect((await readdir(folder)).toSorted()).toEqual(["other", "thing-1.2", "things-1.1"]);
});

test("a place that keeps nothing is no error", async () => {
  await mkdir(join(folder, ".."), { recursive: true });
  await writeFile(folder, "a file");
  file.write(content);
  expect(file.read()).toBeNull();
});

test("a name that cannot be had is no error, and leaves no draft", async () => {
  await mkdir(join(folder, "thing-1.2"), { recursive: true });
  file.write(content);
  expect(file.read()).toBeNull();
  expect(await readdir(folder)).toEqual(["thing-1.2"]);
});

test("a full disk is no error", async () => {
  await mkdir(folder, { recursive: true });
  await symlink("/dev/full", join(folder, `thing-1.2.${process.pid}`));
  file.write(content);
  expect(file.read()).toBeNull();
});
