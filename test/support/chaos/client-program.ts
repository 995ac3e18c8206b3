/**
 * Traffic as a program of Node, Deno or Bun: `client-program.ts LIBRARY TASK [OUTBOX]`, with the library's file, a task
 * as JSON, and the publisher's outbox. It prints its reports as JSON lines and ends by itself, unless the library leaves
 * something behind.
 */
import process from "node:process";
import { pathToFileURL } from "node:url";
import { openFileOutbox } from "./file-outbox.ts";
import { runTraffic, type ClientLibrary, type Task } from "./traffic.ts";

const [library = "", task = "", outbox] = process.argv.slice(2);
await runTraffic(
  (await import(pathToFileURL(library).href)) as ClientLibrary,
  JSON.parse(task) as Task,
  (report) => void process.stdout.write(`${JSON.stringify(report)}\n`),
  outbox === undefined ? null : openFileOutbox(outbox),
);
