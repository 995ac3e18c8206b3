/** The blocks of the documents that tests run as they stand there. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";

/** The text of the first block that `after` finds in front of it: what its fence says, or words before it. */
export async function documentBlock(document: string, after: RegExp): Promise<string> {
  const text = await readFile(join(import.meta.dirname, "../..", document), "utf8");
  const start = after.exec(text);
  if (start === null) throw new Error(`${document} has nothing like ${after}`);
  const [, block] = /```.*\n([^]*?)```/.exec(text.slice(start.index)) ?? [];
  if (block === undefined) throw new Error(`${document} has no block behind ${after}`);
  return block;
}
