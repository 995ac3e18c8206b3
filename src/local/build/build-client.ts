/**
 * Builds the client library: one ES module, its types, and both once more as the Worker imports them. Knows nothing of
 * how they are served. Invariant: the same sources give the same bytes, and so the same hash, on every machine.
 */
import { build } from "esbuild";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { declareClient } from "./declare-client.ts";
import { writeWhole } from "./write-whole.ts";

/** What was built. */
export interface BuiltClient {
  readonly version: string;
  /** Under which name the hub serves it for good. */
  readonly path: string;
  /** As pages pin it (W3C Subresource Integrity). */
  readonly integrity: string;
  readonly code: string;
  readonly types: string;
}

/** The name tells versions apart and protects nothing, `integrity` does. */
const HASH_DIGITS = 16;

/** Programs that are compiled for ES2022, as most pages are, know no `AsyncDisposable`. */
const TYPES_OF_DISPOSAL = '/// <reference lib="esnext.disposable" />';

/** Builds it of the sources in a checkout, into its `dist`. */
export async function buildClient(root: string): Promise<BuiltClient> {
  const { version }: { version: string } = JSON.parse(
    readFileSync(join(root, "package.json"), "utf8"),
  );
  const title = `wspubsub ${version}, client library, MIT License`;
  const sources = join(root, "src");
  const [code, declarations] = await Promise.all([
    bundle(join(sources, "client/main.ts"), `/*! ${title} */`),
    declareClient(sources, "client/main.ts"),
  ]);
  const types = `/** ${title} */\n${TYPES_OF_DISPOSAL}\n\n${declarations}`;
  const [codeHash, typesHash] = [shortHash(code), shortHash(types)];
  const path = `/client-${codeHash}.js`;
  writeWhole(join(root, "dist/client/client.js"), code);
  writeWhole(join(root, "dist/client/client.d.ts"), types);
  writeWhole(
    join(root, "dist/served/client.json"),
    JSON.stringify({ path, code, codeHash, types, typesHash }),
  );
  return { version, path, integrity: integrityOf(code), code, types };
}

async function bundle(entry: string, banner: string): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [entry],
    bundle: true,
    minify: true,
    format: "esm",
    target: "es2022",
    banner: { js: banner },
    write: false,
    // It throws what they say.
    logLevel: "silent",
  });
  return outputFiles.map(({ text }) => text).join("");
}

function shortHash(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, HASH_DIGITS);
}

function integrityOf(text: string): string {
  return `sha384-${createHash("sha384").update(text).digest("base64")}`;
}
