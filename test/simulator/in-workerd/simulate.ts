/**
 * The tests of one kind of scenarios: from a fixed seed, and from a new one, which the test's name says; or what
 * `npm run simulate` was asked for.
 */
import { test } from "vitest";
import { replay, runSeeds, type Kind } from "./run-seed.ts";

declare global {
  interface ImportMeta {
    /** What Vite lets through of the environment: what begins with `VITE_`. */
    readonly env: Readonly<Record<string, string | undefined>>;
  }
}

/** How much is simulated by `npm test`; VITE_SIMULATE_SCALE says how many times that. */
export interface Gate {
  readonly fixedSteps: number;
  readonly freshSteps: number;
}

const FIXED_SEED = 1;

/** A test of scenarios. */
interface Simulation {
  readonly title: string;
  readonly run: () => Promise<void>;
}

/** Declares the tests. */
export function simulate(kind: Kind, gate: Gate): void {
  // The time limit is a test's of the scenarios, each of which has its own deadlines.
  for (const { title, run } of choose(kind, gate)) test(`${kind}, ${title}`, { timeout: 0 }, run);
}

function choose(kind: Kind, { fixedSteps, freshSteps }: Gate): Simulation[] {
  const { VITE_SIMULATE_SEED, VITE_SIMULATE_STEPS, VITE_SIMULATE_PATH, VITE_SIMULATE_SCALE } =
    import.meta.env;
  if (VITE_SIMULATE_SEED === undefined) {
    const scale = Number(VITE_SIMULATE_SCALE ?? 1);
    const freshSeed = 1 + Math.floor(Math.random() * 999_999_999);
    return [
      fromSeed(kind, FIXED_SEED, scale * fixedSteps),
      fromSeed(kind, freshSeed, scale * freshSteps),
    ];
  }
  const seed = Number(VITE_SIMULATE_SEED);
  const path = VITE_SIMULATE_PATH;
  if (path === undefined) return [fromSeed(kind, seed, Number(VITE_SIMULATE_STEPS))];
  return [{ title: `seed ${seed}, path ${path}`, run: () => replay(kind, seed, path) }];
}

function fromSeed(kind: Kind, seed: number, steps: number): Simulation {
  const title = `from seed ${seed}, ${steps} steps`;
  return { title, run: () => runSeeds(kind, seed, steps) };
}
