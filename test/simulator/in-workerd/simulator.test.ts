/**
 * The simulator: made-up scenarios on a real Topic over real sockets, from seeds. `npm run simulate`
 * runs more of them, and replays one that failed.
 */
import { test } from "vitest";
import { replay, runSeeds } from "./run-seed.ts";

declare global {
  interface ImportMeta {
    /** What Vite lets through of the environment: what begins with `VITE_`. */
    readonly env: Readonly<Record<string, string | undefined>>;
  }
}

const { VITE_SIMULATE_SEED, VITE_SIMULATE_STEPS, VITE_SIMULATE_PATH } = import.meta.env;
const seed = Number(VITE_SIMULATE_SEED ?? 1);
const steps = Number(VITE_SIMULATE_STEPS ?? 3000);
const path = VITE_SIMULATE_PATH ?? "";

// The time limit is a test's of the scenarios, each of which has its own deadlines.
test(
  `from seed ${seed}, ${path === "" ? `${steps} steps` : `path ${path}`}`,
  { timeout: 0 },
  () => {
    return path === "" ? runSeeds(seed, steps) : replay(seed, path);
  },
);
