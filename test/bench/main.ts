/**
 * The benchmark program, `npm run bench`: every performance number of the documentation comes from it.
 * Progress goes to standard error, the result to standard output. `--help` explains the method.
 */
import { availableParallelism } from "node:os";
import { spawnSync } from "node:child_process";

import { bypassProxyForLoopback } from "../../src/local/bypass-proxy.ts";
import { compareVersions } from "./compare-versions.ts";
import { HELP } from "./help.ts";
import { missedGoals, worseRatios } from "./missed-goals.ts";
import { type Options, parseOptions } from "./options.ts";
import { openFilesShortage } from "./processes/open-files.ts";
import { serverCpu } from "./processes/pinned.ts";
import { type Facts, formatReport } from "./report.ts";
import { runBenchmark } from "./run-benchmark.ts";
import { summarize } from "./summary.ts";
import { createTargets } from "./targets/create-targets.ts";
import { KeyStore } from "./targets/key-store.ts";
import { workerdPath } from "./targets/workerd.ts";

for (const signal of ["SIGINT", "SIGTERM"] as const) {
  // Ending through "exit" takes the servers along.
  process.once(signal, () => {
    say(`bench: stopped by ${signal}`);
    process.exit(1);
  });
}

bypassProxyForLoopback();
process.exitCode = await main();

async function main(): Promise<number> {
  let options: Options | "help";
  try {
    options = parseOptions(process.argv.slice(2));
  } catch (error) {
    return fail(error, 2);
  }
  if (options === "help") {
    process.stdout.write(HELP);
    return 0;
  }
  try {
    return await bench(options);
  } catch (error) {
    return fail(error, 1);
  }
}

async function bench(options: Options): Promise<number> {
  const shortage = openFilesShortage(mostSockets(options));
  if (shortage !== undefined) throw new Error(shortage);
  const keyStore = new KeyStore();
  const targets = createTargets(options, keyStore).filter((target) => {
    const reason = target.unavailable();
    if (reason !== undefined) say(`${target.name} is skipped: ${reason}`);
    return reason === undefined;
  });
  const { measurements: wanted } = options;
  if (!targets.some(({ measurements }) => measurements.some((one) => wanted.includes(one)))) {
    throw new Error("There is nothing to measure: no target can do what --only asks");
  }
  try {
    const results = await runBenchmark(targets, options, say);
    const summaries = summarize(results);
    const variants = [...options.variants.keys()];
    const ratios = compareVersions(results, variants);
    const facts = factsOf(options);
    const report = options.isJson
      ? JSON.stringify({ facts, targets: summaries, ratios }, undefined, 2)
      : formatReport(facts, summaries, ratios);
    process.stdout.write(`${report}\n`);
    if (!options.isCheck) return 0;
    const missed = [...missedGoals(summaries), ...worseRatios(ratios, variants)];
    for (const sentence of missed) say(`Missed: ${sentence}`);
    return missed.length === 0 ? 0 : 1;
  } finally {
    await keyStore.stop();
  }
}

/** Sockets that a server has open at once, in the greediest measurement. */
function mostSockets(options: Options): number {
  return Math.max(
    ...options.measurements.map((kind) => {
      switch (kind) {
        case "throughput":
          return Math.max(...options.subscribers);
        case "memory":
          return options.memorySubscribers + Math.ceil(options.memorySubscribers / 6);
        case "storm":
          // The server may not have let go of the old connections when the new ones come.
          return options.stormSubscribers * 2;
        case "ends":
          // The probe has two.
          return options.endsSubscribers + 2;
        case "latency":
        case "history":
          return options.latencySubscribers;
        case "join":
          return options.joinSubscribers;
        case "kick":
          // Each topic has a resident, and the key's publisher.
          return options.kick.topics * (options.kick.holders === undefined ? 1 : 2);
        case "post":
          return 32;
        case "connect":
        case "ingest":
        case "flood":
          return 1;
      }
    }),
  );
}

function factsOf(options: Options): Facts {
  return {
    node: process.versions.node,
    workerd:
      spawnSync(workerdPath, ["--version"], { encoding: "utf8" }).stdout.split(" ")[1]?.trim() ??
      "",
    processors: availableParallelism(),
    isPinned: serverCpu !== undefined,
    messageBytes: options.messageBytes,
    rounds: options.rounds,
    secondsPerMeasurement: options.seconds,
  };
}

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

function fail(error: unknown, exitCode: number): number {
  say(`bench: ${error instanceof Error ? error.message : String(error)}`);
  return exitCode;
}
