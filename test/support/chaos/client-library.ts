/** The client library as one module, as those who use it get it: bundled once a run, for programs and for pages. */
import { existsSync } from "node:fs";
import { mkdtemp, rename, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { build } from "esbuild";
import { inRunFolder } from "../run-folder.ts";

const ENTRY = join(import.meta.dirname, "../../../src/client/main.ts");

/** The module's file. */
export async function clientLibrary(): Promise<string> {
  const file =
    inRunFolder("client.mjs") ?? join(await mkdtemp(join(tmpdir(), "client-")), "client.mjs");
  if (existsSync(file)) return file;
  // Several processes may come at once: each makes its own, and the last one stays.
  const own = await mkdtemp(join(dirname(file), "client-"));
  const outfile = join(own, "client.mjs");
  await build({ entryPoints: [ENTRY], bundle: true, format: "esm", target: "es2022", outfile });
  await rename(outfile, file);
  await rm(own, { recursive: true });
  return file;
}

/** A script that gives a page the library and the traffic, as `client` and `runTraffic` of its window. */
export async function pageScript(): Promise<string> {
  const contents = [
    `import * as client from ${JSON.stringify(await clientLibrary())};`,
    `import { runTraffic } from ${JSON.stringify(join(import.meta.dirname, "traffic.ts"))};`,
    "Object.assign(window, { client, runTraffic });",
  ].join("\n");
  const stdin = { contents, resolveDir: import.meta.dirname };
  const { outputFiles } = await build({ stdin, bundle: true, format: "iife", write: false });
  return outputFiles[0]?.text ?? "";
}
