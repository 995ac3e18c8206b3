/** How much a page loads: bundled and minified as the hub serves it, and compressed as it travels. */
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { expect, test } from "vitest";

const MAIN = `${import.meta.dirname}/../../src/client/main.ts`;

/** Bytes of what a program loads that imports so much. */
async function sizeOf(names: string): Promise<number> {
  const { outputFiles } = await build({
    stdin: {
      contents: `export ${names} from ${JSON.stringify(MAIN)}`,
      resolveDir: import.meta.dirname,
    },
    bundle: true,
    minify: true,
    format: "esm",
    target: "es2022",
    write: false,
  });
  const [file] = outputFiles;
  return file === undefined ? Infinity : gzipSync(file.contents, { level: 9 }).length;
}

test("the library has at most 5 KiB", async () => {
  expect(await sizeOf("*")).toBeLessThanOrEqual(5 * 1024);
});

test("with subscribe alone at most 3 KiB", async () => {
  expect(await sizeOf("{ subscribe }")).toBeLessThanOrEqual(3 * 1024);
});
