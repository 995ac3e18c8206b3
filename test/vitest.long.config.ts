/** What `npm run test:long` runs: tests that are long by nature, and ten times as many made-up histories. */
import { defineConfig } from "vitest/config";
import { integration, simulator } from "./vitest.projects.ts";

process.env["VITE_SIMULATE_SCALE"] ??= "10";

export default defineConfig({
  test: {
    silent: "passed-only",
    projects: [simulator(), integration("long", ["long/**/*.test.ts"])],
  },
});
