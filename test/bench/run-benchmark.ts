/**
 * The plan of a run. Every round starts all servers anew and then goes measurement by measurement
 * through the targets, there and back: what is compared is measured seconds apart, because machines
 * (virtual ones above all) change their speed by half within a minute, and a steady drift cancels out.
 * A measurement that other work on the machine disturbed is repeated.
 */
import { type Measured, measureTarget } from "./measure-target.ts";
import type { Options } from "./options.ts";
import { type RoundResult, emptyRound } from "./round-result.ts";
import type { Step } from "./step.ts";
import type { RunningTarget, Target } from "./targets/target.ts";

/** Processors that other work may use without spoiling a measurement. */
const MOST_OTHERS_LOAD = 0.15;
const ATTEMPTS = 3;

/** Messages in a publisher's frame. */
const INGEST_FRAMES: readonly number[] = [100, 20];

interface Entrant {
  readonly target: Target;
  readonly server: RunningTarget;
  readonly result: RoundResult;
}

export type Progress = (line: string) => void;

/** Runs all rounds; the results are in the order of the rounds. */
export async function runBenchmark(
  targets: readonly Target[],
  options: Options,
  progress: Progress,
): Promise<RoundResult[]> {
  const results: RoundResult[] = [];
  for (let round = 0; round < options.rounds; round++) {
    const entrants: Entrant[] = [];
    const steps = planRound(round, options);
    try {
      for (const target of round % 2 === 0 ? targets : targets.toReversed()) {
        if (!steps.some(({ kind }) => target.measurements.includes(kind))) continue;
        const server = await target.start();
        entrants.push({ target, server, result: emptyRound(target.name, round) });
      }
      for (const step of steps) {
        for (const entrant of entrants) {
          const { target, result } = entrant;
          if (!target.measurements.includes(step.kind)) continue;
          const measured = await runStep(step, entrant, options);
          measured.record(result);
          const place = `round ${round + 1}/${options.rounds}  ${target.name.padEnd(14)}`;
          progress(`${place} ${measured.line}`);
        }
      }
      results.push(...entrants.map(({ result }) => result));
    } finally {
      await Promise.all(entrants.map(({ server }) => server.stop()));
    }
  }
  return results;
}

function planRound(round: number, options: Options): Step[] {
  return options.measurements.flatMap((kind): Step[] => {
    switch (kind) {
      case "throughput":
        return options.subscribers.map((subscribers) => ({ kind, subscribers }));
      case "ingest":
        return INGEST_FRAMES.map((messagesPerFrame) => ({ kind, messagesPerFrame }));
      case "latency":
      case "history":
      case "connect":
      case "post":
      case "kick":
      case "join":
      case "flood":
      case "ends":
        return [{ kind }];
      case "memory":
      case "storm":
        // The longest ones; memory does not vary from round to round, and a storm must lose nothing
        // in any.
        return round === 0 ? [{ kind }] : [];
    }
  });
}

/** Carries out one step, repeats it when disturbed; returns what was disturbed least. */
async function runStep(step: Step, entrant: Entrant, options: Options): Promise<Measured> {
  const { target, server } = entrant;
  let best: Measured | undefined;
  for (let attempt = 1; ; attempt++) {
    try {
      const measured = await measureTarget(step, server, options);
      if (best === undefined || disturbance(measured) < disturbance(best)) best = measured;
    } catch (error) {
      // A dead server explains the failure better than the connections it took along.
      server.assertAlive();
      const reason = error instanceof Error ? error.message : String(error);
      throw new Error(`${target.name}: ${reason}`, { cause: error });
    }
    if (disturbance(best) <= MOST_OTHERS_LOAD || attempt === ATTEMPTS) return best;
  }
}

function disturbance({ othersLoad = 0 }: Measured): number {
  return othersLoad;
}
