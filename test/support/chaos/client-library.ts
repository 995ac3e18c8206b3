/** The client library as a hub serves it, for programs and for pages. */
import { existsSync } from "node:fs";
import { mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { build } from "esbuild";
import { inject } from "vitest";
import { inRunFolder } from "../run-folder.ts";

/** The file of the module that the shared hub serves. */
export async function clientLibrary(): Promise<string> {
  const file =
    inRunFolder("client.mjs") ?? join(await mkdtemp(join(tmpdir(), "client-")), "client.mjs");
  if (existsSync(file)) return file;
  const response = await fetch(`${inject("hub").url.replace(/^ws/, "http")}/client.js`);
  if (!response.ok) throw new Error(`No library: ${response.status}`);
  // Several processes may come at once: each writes its own, and the last one stays.
  const own = await mkdtemp(join(dirname(file), "client-"));
  await writeFile(join(own, "client.mjs"), await response.text());
  await rename(join(own, "client.mjs"), file);
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
