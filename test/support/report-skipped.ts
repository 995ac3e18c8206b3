/** Says, once after all tests, how many were skipped for want of which program. Vitest's global setup. */
import type { TestProject } from "vitest/node";
import {
  findProgram,
  PROGRAM_NAMES,
  remedyFor,
  saysMissing,
  type ProgramName,
} from "./find-program.ts";

/** What the tests are called that need a program. */
const TESTS: Readonly<Record<ProgramName, string>> = {
  chromium: "browser tests",
  postgresql: "tests of an ordinary Postgres",
  "python3-requests": "tests of Python clients",
  deno: "tests of clients in Deno",
  bun: "tests of clients in Bun",
};

/** Vitest's global setup; what it returns is the teardown. */
export default function setup({ vitest }: TestProject): () => void {
  return () => {
    const tests = vitest.state.getTestModules().flatMap((file) => [...file.children.allTests()]);
    const skipped = tests.filter((test) => test.result().state === "skipped");
    for (const name of PROGRAM_NAMES) {
      const count = skipped.filter((test) => test.meta().needs === name).length;
      if (count === 0 || findProgram(name) !== null) continue;
      // Not on the standard output, which may be a report for a program.
      const line = `${saysMissing(name)}: ${count} ${TESTS[name]} are skipped; ${remedyFor(name)}`;
      process.stderr.write(`${line}\n`);
    }
  };
}
