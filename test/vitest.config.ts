/**
 * The test runner's projects: `unit` runs in workerd beside the code, `integration` and `browser` run
 * in Node against a spawned hub.
 */
import { cloudflareTest } from "@cloudflare/vitest-plugin";
import { defineConfig } from "vitest/config";

// Declared in wrangler.toml as required: the runner warns once a file while it is not set.
process.env["DATABASE_URL"] ??= "unset";

export default defineConfig({
  test: {
    silent: "passed-only",
    projects: [
      {
        plugins: [
          cloudflareTest({
            wrangler: { configPath: "../wrangler.toml" },
            // Unit tests see a hub without a key store; those of integration have a real one.
            miniflare: { bindings: { DATABASE_URL: "" } },
          }),
        ],
        test: { name: "unit", root: import.meta.dirname, include: ["unit/**/*.test.ts"] },
      },
      {
        test: {
          name: "integration",
          root: import.meta.dirname,
          include: ["integration/**/*.test.ts", "browser/**/*.test.ts"],
          testTimeout: 60_000,
          hookTimeout: 60_000,
          globalSetup: ["support/shared-hub.ts"],
        },
      },
    ],
  },
});
