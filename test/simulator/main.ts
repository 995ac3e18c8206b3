/**
 * The simulator's program, `npm run simulate`: starts the test runner on `in-workerd`, where everything
 * else happens, and hands it the options as environment.
 */
import { fileURLToPath } from "node:url";
import { startVitest } from "vitest/node";
import { HELP, type Options, parseOptions } from "./options.ts";

/** Where the tests of each kind are. */
const TESTS: Readonly<Record<Options["kind"], string>> = {
  messages: "simulator/in-workerd/simulator.test.ts",
  operator: "simulator/in-workerd/operator.test.ts",
};

process.exitCode = await main();

async function main(): Promise<number> {
  let options: Options | "help";
  try {
    options = parseOptions(process.argv.slice(2));
  } catch (error) {
    process.stderr.write(`simulate: ${error instanceof Error ? error.message : String(error)}\n`);
    return 2;
  }
  if (options === "help") {
    process.stdout.write(HELP);
    return 0;
  }
  return simulate(options);
}

async function simulate({ kind, seed, steps, path }: Options): Promise<number> {
  process.stdout.write(
    `${kind}, seed ${seed}, ${path === null ? `${steps} steps` : `path ${path}`}\n`,
  );
  process.env["VITE_SIMULATE_SEED"] = String(seed);
  process.env["VITE_SIMULATE_STEPS"] = String(steps);
  if (path !== null) process.env["VITE_SIMULATE_PATH"] = path;
  const vitest = await startVitest("test", [TESTS[kind]], {
    config: fileURLToPath(new URL("../vitest.config.ts", import.meta.url)),
    project: ["simulator"],
    watch: false,
  });
  await vitest.close();
  return process.exitCode === undefined || process.exitCode === 0 ? 0 : 1;
}
