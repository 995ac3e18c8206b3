#!/usr/bin/env node
/**
 * What `wspubsub` runs: the sources in a checkout, which are never old, and what was built of them in a package. Plain
 * JavaScript that every Node understands, so that one that is too old gets a sentence.
 */
import { existsSync } from "node:fs";
import process from "node:process";
import { fileURLToPath } from "node:url";

const source = new URL("main.ts", import.meta.url);
const isCheckout = existsSync(fileURLToPath(source));
const [major] = process.versions.node.split(".").map(Number);

if (major < 22) {
  refuse("Node 22 or newer");
} else if (isCheckout && !process.features.typescript) {
  refuse("Node 22.18 or newer in a checkout, as npx and npm run cli find it there");
} else {
  await import(isCheckout ? source.href : new URL("../../dist/cli/main.js", import.meta.url).href);
}

function refuse(needed) {
  process.stderr.write(`wspubsub needs ${needed}. This is ${process.versions.node}\n`);
  process.exitCode = 1;
}
