#!/usr/bin/env node
/**
 * `wspubsub`, the operator's command line: starts it and turns how it ends into an exit code. 0: done.
 * 1: could not be done. 2: used wrongly. What was asked for goes to stdout, everything else to stderr.
 */
import { enableCompileCache } from "node:module";
import { inspect } from "node:util";
import { bypassProxyForLoopback } from "../local/bypass-proxy.ts";
import { UserError } from "../local/fail.ts";
import { refuseSwallowedOptions, SwallowedError } from "../local/refuse-swallowed-options.ts";
import { UsageError } from "./usage-error.ts";

// Half of a run is loading: from the second one on the program comes compiled.
enableCompileCache();
const { CommanderError } = await import("commander");
const { buildProgram, listOptions } = await import("./build-program.ts");
const { Output, OutputError } = await import("./output/output.ts");
const { printableLines } = await import("./output/printable.ts");

/** Milliseconds that connections have to end when all is done. */
const LAST_MS = 2000;

bypassProxyForLoopback();
const output = new Output(process.stdout, process.stderr);
try {
  await run();
  await output.flush();
} catch (error) {
  // `… | head` closes the pipe once it has enough.
  if (!(error instanceof OutputError && error.isClosedPipe)) await fail(1, error);
}
// A socket on a dead link would keep the process for a quarter of an hour.
setTimeout(() => process.exit(), LAST_MS).unref();

async function run(): Promise<void> {
  try {
    const program = buildProgram(output);
    refuseSwallowedOptions("cli", listOptions(program), process.argv.slice(2));
    await program.parseAsync();
  } catch (error) {
    if (error instanceof UsageError || error instanceof SwallowedError) return fail(2, error);
    if (!(error instanceof CommanderError)) throw error;
    // It has printed what is wrong, or the help that was asked for.
    process.exitCode = error.exitCode === 0 ? 0 : 2;
  }
}

/** Ends the process: with a sentence for what people can do something about, with everything for a bug. */
async function fail(code: 1 | 2, error: unknown): Promise<never> {
  const isKnown = error instanceof UserError || error instanceof UsageError;
  output.note(`${printableLines(isKnown ? error.message : inspect(error))}\n`);
  try {
    await output.flush();
  } catch (cause) {
    // Of stdout it was told, or there are worse things to tell.
    if (!(cause instanceof OutputError)) throw cause;
  }
  // Not later: a connection that was not answered may still be open.
  process.exit(code);
}
