/** Runs the scenarios of a seed, shrinks one that fails, and says how to run that one again. */
import fc from "fast-check";
import { runOperator } from "./operator/run-operator.ts";
import { operatorScenarios } from "./operator/scenario.ts";
import { runScenario } from "./run-scenario.ts";
import { scenarios } from "./scenario.ts";
import { Violation } from "./violation.ts";

const SCENARIOS_PER_SEED = 10;
/** When a smaller scenario that fails as well is not looked for any longer. */
const SHRINK_MS = 60_000;

/** What scenarios are about: messages and their log, or what an operator changes. */
export type Kind = "messages" | "operator";

/** What all scenarios have. */
interface AnyScenario {
  readonly policy: object;
  readonly actions: readonly unknown[];
}

/** Scenarios of a seed: all, or the one that a report named. */
type Choice = Pick<
  fc.Parameters,
  "seed" | "path" | "numRuns" | "endOnFailure" | "interruptAfterTimeLimit"
>;

/** Runs the scenarios of one seed after the other until so many steps are done. */
export async function runSeeds(kind: Kind, firstSeed: number, steps: number): Promise<void> {
  let done = 0;
  let seed = firstSeed;
  while (done < steps) {
    const numRuns = SCENARIOS_PER_SEED;
    done += await run(kind, { seed: seed++, numRuns, interruptAfterTimeLimit: SHRINK_MS });
  }
}

/** Runs the one scenario that a report named. */
export async function replay(kind: Kind, seed: number, path: string): Promise<void> {
  await run(kind, { seed, path, numRuns: 1, endOnFailure: true });
}

function run(kind: Kind, choice: Choice): Promise<number> {
  switch (kind) {
    case "messages":
      return check(kind, choice, scenarios, runScenario);
    case "operator":
      return check(kind, choice, operatorScenarios, runOperator);
  }
}

/** Returns how many steps were done. */
async function check<Scenario extends AnyScenario>(
  kind: Kind,
  choice: Choice,
  arbitrary: fc.Arbitrary<Scenario>,
  runOne: (scenario: Scenario) => Promise<void>,
): Promise<number> {
  let steps = 0;
  let runs = 0;
  const property = fc.asyncProperty(arbitrary, async (scenario) => {
    // Of a path fast-check would go on to all that is beside it, unless the one that is meant fails.
    if (choice.path !== undefined && runs++ > 0) return;
    steps += scenario.actions.length;
    await runOne(scenario);
  });
  const details = await fc.check(property, choice);
  if (details.failed) throw new Violation(report(kind, details));
  return steps;
}

function report<Scenario extends AnyScenario>(
  kind: Kind,
  details: fc.RunDetails<[Scenario]>,
): string {
  const { seed, counterexamplePath, counterexample, errorInstance } = details;
  const error = errorInstance instanceof Error ? errorInstance.message : String(errorInstance);
  const { policy } = counterexample?.[0] ?? {};
  const ofKind = kind === "messages" ? "" : `--kind ${kind} `;
  return [
    error,
    "",
    `Policy: ${JSON.stringify(policy)}`,
    `Replay: npm run simulate -- ${ofKind}--seed ${seed} --path ${counterexamplePath}`,
  ].join("\n");
}
