/**
 * Builds the command line for Node as packages hold it: JavaScript, since Node strips no types in `node_modules`, with
 * all libraries in it, so that whoever installs the client library installs nothing else. Invariant: no file of the
 * build before stays, and every file is as deep in the package as the sources are, which find things beside it.
 */
import { build } from "esbuild";
import { readdirSync, rmSync } from "node:fs";
import { basename, join } from "node:path";
import { collectLicenses } from "./collect-licenses.ts";
import { writeWhole } from "./write-whole.ts";

/** For libraries that are CommonJS. */
const REQUIRE =
  'import { createRequire as createRequire_ } from "node:module"; const require = createRequire_(import.meta.url);';

/** Builds it of the sources in a checkout, into its `dist`; resolves with its size in bytes. */
export async function buildCli(root: string): Promise<number> {
  const folder = join(root, "dist/cli");
  const { outputFiles, metafile } = await build({
    absWorkingDir: root,
    entryPoints: ["src/cli/main.ts"],
    bundle: true,
    // What is not asked for is not loaded.
    splitting: true,
    // Names stay, for the stack of a bug.
    minifySyntax: true,
    minifyWhitespace: true,
    platform: "node",
    format: "esm",
    target: "node22",
    banner: { js: REQUIRE },
    // Of pg, for what this is not: Workers, and a driver in C.
    external: ["cloudflare:sockets", "pg-native"],
    outdir: folder,
    metafile: true,
    write: false,
    logLevel: "silent",
  });
  for (const { path, contents } of outputFiles) writeWhole(path, contents);
  writeWhole(join(folder, "LICENSES.txt"), collectLicenses(root, Object.keys(metafile.inputs)));
  const own = new Set(["LICENSES.txt", ...outputFiles.map(({ path }) => basename(path))]);
  for (const name of readdirSync(folder)) {
    // `force`: another build may have been faster.
    if (!own.has(name)) rmSync(join(folder, name), { force: true });
  }
  return outputFiles.reduce((bytes, { contents }) => bytes + contents.length, 0);
}
