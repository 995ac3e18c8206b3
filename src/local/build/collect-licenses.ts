/** The licenses of the libraries that are part of a bundle: they ask to go wherever the code goes. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import * as v from "valibot";

const MANIFEST = v.object({
  license: v.string(),
  author: v.optional(
    v.union([
      v.string(),
      v.pipe(
        v.object({ name: v.string() }),
        v.transform(({ name }) => name),
      ),
    ]),
  ),
});

const RULE = "-".repeat(80);

/** The texts for the files that were bundled, paths below `root`; throws where a library names none. */
export function collectLicenses(root: string, files: readonly string[]): string {
  const names = files.flatMap((file) => {
    const [, name] = /.*\bnode_modules\/((?:@[^/]+\/)?[^/]+)/.exec(file) ?? [];
    return name === undefined ? [] : [name];
  });
  const texts = [...new Set(names)].toSorted().map((name) => {
    return `${name}\n\n${readLicense(join(root, "node_modules", name))}\n`;
  });
  return texts.join(`\n${RULE}\n\n`);
}

function readLicense(folder: string): string {
  const file = readdirSync(folder).find((name) => /^licen[cs]e(\.\w+)?$/i.test(name));
  if (file !== undefined) return readFileSync(join(folder, file), "utf8").trim();
  // Some name it only.
  const manifest = v.parse(
    MANIFEST,
    JSON.parse(readFileSync(join(folder, "package.json"), "utf8")),
  );
  return `${manifest.license} License, ${manifest.author ?? "its authors"}`;
}
