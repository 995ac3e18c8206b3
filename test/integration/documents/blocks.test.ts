/** No code block of README and docs/ goes untested: each is named by a test that runs it, or stands here with a reason. */
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { blocksOf, listDocuments, readDocument } from "../../support/document-block.ts";

/** Blocks that no test runs, and why. */
const NOT_RUN: Readonly<Record<string, string>> = {};

const TESTS = globSync("**/*.test.ts", { cwd: join(import.meta.dirname, "../..") })
  .map((path) => readFileSync(join(import.meta.dirname, "../..", path), "utf8"))
  .join("\n");

function isRun(document: string, name: string): boolean {
  return TESTS.includes(`documentBlock("${document}", "${name}")`);
}

const documents = (await listDocuments()).filter(
  (path) => path === "README.md" || path.startsWith("docs/"),
);

describe.each(documents)("%s", (document) => {
  test("has no block that no test names", async () => {
    const names = blocksOf(await readDocument(document)).map(({ name }) => name);
    const untested = names.filter(
      (name) => !isRun(document, name) && NOT_RUN[`${document} ${name}`] === undefined,
    );
    expect(untested).toEqual([]);
    expect(names).toEqual([...new Set(names)]);
  });
});
