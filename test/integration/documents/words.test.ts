/** How the documents and the modules' headers are written: lines that an editor shows whole, and no "who" as a subject. */
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { listDocuments, readDocument } from "../../support/document-block.ts";

const LONGEST = 120;
/** "Who presents …" makes a reader look for the subject. A question may begin so, within a longer sentence. */
const WHO_AS_SUBJECT = /(?:^|[.:;] |, and |\*\*)who(?:ever)? (?!must act).*/i;
const SRC = join(import.meta.dirname, "../../../src");

/** The lines outside of code. */
function linesOf(text: string): string[] {
  return text.replaceAll(/^( *)```[^]*?^\1```$/gm, "").split("\n");
}

/** The first comment of a module. */
function headerOf(path: string): string {
  const [header = ""] = /\/\*\*[^]*?\*\//.exec(readFileSync(join(SRC, path), "utf8")) ?? [];
  return header;
}

describe.each(await listDocuments())("%s", (document) => {
  test("has lines of 120 characters, outside of tables and code", async () => {
    const lines = linesOf(await readDocument(document));
    const long = lines.filter((line) => line.length > LONGEST && !line.trimStart().startsWith("|"));
    expect(long).toEqual([]);
  });

  test('has no "who" as a subject', async () => {
    // Whole paragraphs, so that the break of a line does not look like the start of a sentence.
    const paragraphs = linesOf(await readDocument(document))
      .join("\n")
      .split(/\n(?=\s*(?:[-|#]|\d+\.|\n))/);
    const flat = paragraphs.map((paragraph) => paragraph.replaceAll(/\s+/g, " ").trim());
    expect(flat.filter((paragraph) => WHO_AS_SUBJECT.test(paragraph))).toEqual([]);
  });
});

test('headers of modules have no "who" as a subject', () => {
  const paths = globSync("**/*.ts", { cwd: SRC }).filter((path) => !path.endsWith(".d.ts"));
  const flat = paths.map((path) => ({
    path,
    header: headerOf(path).replaceAll(/\s*\n \*\s*/g, " "),
  }));
  expect(flat.filter(({ header }) => WHO_AS_SUBJECT.test(header.slice(4)))).toEqual([]);
});
