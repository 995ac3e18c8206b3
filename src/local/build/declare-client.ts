/**
 * The client library's types as one file without imports: what the compiler declares of each module, put together.
 * Knows how the compiler prints declarations, and nothing of the library. Invariant: exports what the entry exports,
 * and holds besides only what those declarations name.
 */
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { splitDeclarations, type Declaration } from "./split-declarations.ts";

const TSC = join(dirname(fileURLToPath(import.meta.resolve("typescript/package.json"))), "bin/tsc");

/** `isolatedDeclarations` holds, so nothing has to be checked, and no type of a library to be known. */
const OPTIONS = ["--ignoreConfig", "--declaration", "--emitDeclarationOnly", "--noCheck"]
  .concat(["--target", "esnext", "--module", "esnext", "--moduleResolution", "bundler"])
  .concat(["--allowImportingTsExtensions", "--lib", "es5", "--types", ""]);

/** What was found in the modules so far. */
interface Found {
  /** What each of them exports. */
  readonly modules: Map<string, Set<string>>;
  readonly declarations: Map<string, Declaration>;
}

/** Declares the module `entry`, a path below `sources`. */
export async function declareClient(sources: string, entry: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "wspubsub-types-"));
  try {
    const args = [...OPTIONS, "--rootDir", sources, "--outDir", folder, join(sources, entry)];
    await run(args);
    return await rollUp(join(folder, entry.replace(/\.ts$/, ".d.ts")));
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** The compiler says on stdout what is wrong, which an error of `execFile` does not repeat. */
function run(args: readonly string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    execFile(process.execPath, [TSC, ...args], (cause, stdout) => {
      if (cause === null) resolve();
      else reject(new Error(`Cannot declare the client library: ${stdout}`, { cause }));
    });
  });
}

async function rollUp(entry: string): Promise<string> {
  const found: Found = { modules: new Map(), declarations: new Map() };
  const exported = await collect(entry, found);
  const needed = [...found.declarations.values()].filter(reachedFrom(exported, found));
  const texts = needed.map(({ text }) => text);
  return `${texts.join("\n")}\nexport { ${[...exported].toSorted().join(", ")} };\n`;
}

/** Finds what a module declares, after what it is made of; returns the names that it exports. */
async function collect(module: string, found: Found): Promise<ReadonlySet<string>> {
  const known = found.modules.get(module);
  if (known !== undefined) return known;
  const exported = new Set<string>();
  found.modules.set(module, exported);
  const { links, declarations } = splitDeclarations(await readFile(module, "utf8"));
  for (const { from, names, isExport } of links) {
    const all = await collect(join(dirname(module), from.replace(/\.ts$/, ".d.ts")), found);
    if (isExport) for (const name of names === "*" ? all : names) exported.add(name);
  }
  for (const declaration of declarations) {
    const { name, isExported } = declaration;
    if (found.declarations.has(name)) throw new Error(`Two modules of the client declare ${name}`);
    found.declarations.set(name, declaration);
    if (isExported) exported.add(name);
  }
  return exported;
}

/** Whether a declaration is exported, or named by one that is needed. */
function reachedFrom(
  exported: ReadonlySet<string>,
  { declarations }: Found,
): (declaration: Declaration) => boolean {
  const reached = new Set(exported);
  // What is added while it goes on is visited, too.
  for (const name of reached) {
    for (const [word] of declarations.get(name)?.code.matchAll(/[\w$]+/g) ?? []) {
      if (declarations.has(word)) reached.add(word);
    }
  }
  return ({ name }) => reached.has(name);
}
