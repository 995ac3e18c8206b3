#!/usr/bin/env node
/**
 * `wspubsub`, the operator's command line: starts it and turns how it ends into an exit code. 0: done.
 * 1: could not be done. 2: used wrongly. What was asked for goes to stdout, everything else to stderr.
 */
import { enableCompileCache } from "node:module";
import { bypassProxyForLoopback } from "../local/bypass-proxy.ts";
import { failWith } from "../local/fail.ts";
import { refuseSwallowedOptions, SwallowedError } from "../local/refuse-swallowed-options.ts";
import { UsageError } from "./usage-error.ts";

// Half of a run is loading: from the second one on the program comes compiled.
enableCompileCache();
const { CommanderError } = await import("commander");
const { buildProgram, listOptions } = await import("./build-program.ts");

// `… | head` closes the pipe once it has enough.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
  process.exit(0);
});

bypassProxyForLoopback();
try {
  const program = buildProgram();
  refuseSwallowedOptions("cli", listOptions(program), process.argv.slice(2));
  await program.parseAsync();
} catch (error) {
  if (error instanceof CommanderError) {
    // It has printed what is wrong, or the help that was asked for.
    process.exitCode = error.exitCode === 0 ? 0 : 2;
  } else if (error instanceof UsageError || error instanceof SwallowedError) {
    console.error(error.message);
    process.exitCode = 2;
  } else {
    failWith(error);
  }
}
