/** What `npm test` runs. */
import { defineConfig } from "vitest/config";
import { integration, simulator, unit } from "./vitest.projects.ts";

export default defineConfig({
  test: {
    silent: "passed-only",
    projects: [
      unit(),
      simulator(),
      integration("integration", ["integration/**/*.test.ts", "browser/**/*.test.ts"]),
    ],
  },
});
