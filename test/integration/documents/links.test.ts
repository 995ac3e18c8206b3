/** The documents lead where they say: every relative link has its file, and every anchor its heading. */
import { existsSync } from "node:fs";
import { join, normalize } from "node:path";
import { describe, expect, test } from "vitest";
import { listDocuments, readDocument } from "../../support/document-block.ts";

const ROOT = join(import.meta.dirname, "../../..");

/** The text without its code, in which brackets mean something else. */
function withoutCode(text: string): string {
  return text.replaceAll(/^( *)```[^]*?^\1```$/gm, "").replaceAll(/`[^`]*`/g, "`");
}

/** The anchors that GitHub gives a document's headings. */
function anchorsOf(text: string): Set<string> {
  const headings = text.replaceAll(/^( *)```[^]*?^\1```$/gm, "").matchAll(/^#+ (.*)$/gm);
  return new Set(
    [...headings].map(([, heading = ""]) =>
      heading
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N}\s_-]/gu, "")
        .replaceAll(" ", "-"),
    ),
  );
}

describe.each(await listDocuments())("%s", (document) => {
  test("links to what is there", async () => {
    const links = [...withoutCode(await readDocument(document)).matchAll(/\]\(([^)\s]+)\)/g)]
      .map(([, target = ""]) => target)
      .filter((target) => !target.startsWith("https://"));
    const dead: string[] = [];
    for (const link of links) {
      const [path = "", anchor = null] = link.split("#");
      const file = path === "" ? document : normalize(join(document, "..", path));
      const isDead =
        !existsSync(join(ROOT, file)) ||
        (anchor !== null && !anchorsOf(await readDocument(file)).has(anchor));
      if (isDead) dead.push(link);
    }
    expect(dead).toEqual([]);
  });
});
