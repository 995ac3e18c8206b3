/**
 * wrangler as `npm run dev` sees it: keeps something where the objects would be, and answers every request with its
 * arguments and its environment. With WSPUBSUB_FAKE=silent it prints a line and never listens.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { parseArgs } from "node:util";

const args = process.argv.slice(2);
const options = { port: { type: "string" }, "persist-to": { type: "string" } };
const { values } = parseArgs({ args, options, strict: false });
const objects = join(values["persist-to"], "v3/do/wspubsub-Topic");

if (process.env["WSPUBSUB_FAKE"] === "silent") {
  process.stdout.write("Here is why\n");
  setInterval(() => {}, 1000);
} else {
  mkdirSync(objects, { recursive: true });
  writeFileSync(join(objects, `of-${values.port}`), "");
  createServer((_, response) => response.end(JSON.stringify({ args, env: process.env }))).listen(
    Number(values.port),
    "127.0.0.1",
  );
}
