/**
 * The plan of a run. Every round starts all servers anew and then goes measurement by measurement
 * through the targets: what is compared is measured seconds apart, because machines (virtual ones
 * above all) change their speed by half within a minute. A measurement that other work on the
 * machine disturbed is repeated.
 */
import type { ThroughputResult } from "./load/load-command.ts";
import { measureTarget } from "./measure-target.ts";
import type { Options } from "./options.ts";
import type { Step } from "./step.ts";
import type { RoundResult } from "./summary.ts";
import type { RunningTarget, Target } from "./targets/target.ts";

/** Processors that other work may use without spoiling a measurement. */
const MOST_OTHERS_LOAD = 0.15;
const ATTEMPTS = 3;

export type Progress = (line: string) => void;

/** Runs all rounds; the results are in the order of the rounds, then of the targets. */
export async function runBenchmark(
  targets: readonly Target[],
  options: Options,
  progress: Progress,
): Promise<RoundResult[]> {
  const results: RoundResult[] = [];
  for (let round = 0; round < options.rounds; round++) {
    const servers = new Map<RoundResult, RunningTarget>();
    try {
      for (const target of targets) {
        servers.set({ target: target.name, round, throughput: new Map() }, await target.start());
      }
      for (const step of planRound(round, options)) {
        for (const [result, server] of servers) {
          const line = await runStep(step, result, server, options);
          progress(`round ${round + 1}/${options.rounds}  ${result.target.padEnd(10)} ${line}`);
        }
      }
      results.push(...servers.keys());
    } finally {
      await Promise.all([...servers.values()].map((server) => server.stop()));
    }
  }
  return results;
}

function planRound(round: number, options: Options): Step[] {
  return options.measurements.flatMap((kind): Step[] => {
    switch (kind) {
      case "throughput":
        return options.subscribers.map((subscribers) => ({ kind, subscribers }));
      case "latency":
        return [{ kind }];
      case "memory":
        // Memory does not vary from round to round, and takes the longest.
        return round === 0 ? [{ kind }] : [];
    }
  });
}

/** Carries out one step, repeats it when disturbed; returns what to tell the user. */
async function runStep(
  step: Step,
  result: RoundResult,
  server: RunningTarget,
  options: Options,
): Promise<string> {
  let best: ThroughputResult | undefined;
  for (let attempt = 1; ; attempt++) {
    let line: string;
    try {
      line = await measureTarget(step, result, server, options);
    } catch (error) {
      // A dead server explains the failure better than the connections it took along.
      server.assertAlive();
      const reason = error instanceof Error ? error.message : String(error);
      throw new Error(`${result.target}: ${reason}`, { cause: error });
    }
    if (step.kind !== "throughput") return line;
    const measured = result.throughput.get(step.subscribers);
    if (measured === undefined) return line;
    if (best === undefined || measured.othersLoad < best.othersLoad) best = measured;
    result.throughput.set(step.subscribers, best);
    if (best.othersLoad <= MOST_OTHERS_LOAD || attempt === ATTEMPTS) return line;
  }
}
