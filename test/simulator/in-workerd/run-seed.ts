/** Runs the scenarios of a seed, shrinks one that fails, and says how to run that one again. */
import fc from "fast-check";
import { runScenario } from "./run-scenario.ts";
import { scenarios, type Scenario } from "./scenario.ts";
import { Violation } from "./violation.ts";

const SCENARIOS_PER_SEED = 10;
/** When a smaller scenario that fails as well is not looked for any longer. */
const SHRINK_MS = 60_000;

/** Runs the scenarios of one seed after the other until so many steps are done. */
export async function runSeeds(firstSeed: number, steps: number): Promise<void> {
  let done = 0;
  let seed = firstSeed;
  while (done < steps) done += await runSeed(seed++);
}

/** Runs a seed's scenarios; returns how many steps that were. */
function runSeed(seed: number): Promise<number> {
  return check({ seed, numRuns: SCENARIOS_PER_SEED, interruptAfterTimeLimit: SHRINK_MS });
}

/** Runs the one scenario that a report named. */
export async function replay(seed: number, path: string): Promise<void> {
  await check({ seed, path, numRuns: 1, endOnFailure: true });
}

async function check(parameters: fc.Parameters<[Scenario]>): Promise<number> {
  let steps = 0;
  const property = fc.asyncProperty(scenarios, async (scenario) => {
    steps += scenario.actions.length;
    await runScenario(scenario);
  });
  const details = await fc.check(property, parameters);
  if (details.failed) throw new Violation(report(details));
  return steps;
}

function report(details: fc.RunDetails<[Scenario]>): string {
  const { seed, counterexamplePath, counterexample, errorInstance } = details;
  const error = errorInstance instanceof Error ? errorInstance.message : String(errorInstance);
  return [
    error,
    "",
    `Policy: ${JSON.stringify(counterexample?.[0].policy)}`,
    `Replay: npm run simulate -- --seed ${seed} --path ${counterexamplePath}`,
  ].join("\n");
}
