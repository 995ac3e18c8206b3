/**
 * The code blocks of the documents, which tests run as they stand there. A block has a name: the second word behind its
 * fence, as in "```sh publish". Knows nothing of what is in a block.
 */
import { readFile, readdir } from "node:fs/promises";
import { join } from "node:path";

/** A block of a document. */
export interface Block {
  readonly language: string;
  /** What tests call it; "" where it has no name. */
  readonly name: string;
  readonly text: string;
}

const ROOT = join(import.meta.dirname, "../..");

/** The text of a block. */
export async function documentBlock(document: string, name: string): Promise<string> {
  const found = blocksOf(await readDocument(document)).filter((block) => block.name === name);
  const [block] = found;
  if (block === undefined || found.length > 1) {
    throw new Error(`${document} has ${found.length} blocks "${name}"`);
  }
  return block.text;
}

/** All blocks of a document's text, in their order. */
export function blocksOf(text: string): Block[] {
  return [...text.matchAll(/^( *)```(\S*) *(.*)\n([^]*?)^\1```$/gm)].map(
    ([, , language = "", name = "", content = ""]) => ({ language, name, text: content }),
  );
}

/** A document's text. Its path begins at the project's root. */
export function readDocument(document: string): Promise<string> {
  return readFile(join(ROOT, document), "utf8");
}

/** The paths of all documents, those of `docs/` among them. */
export async function listDocuments(): Promise<string[]> {
  const [top, docs] = await Promise.all([readdir(ROOT), readdir(join(ROOT, "docs"))]);
  return [...top, ...docs.map((name) => `docs/${name}`)].filter((path) => path.endsWith(".md"));
}
