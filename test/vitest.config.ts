/**
 * The test runner's projects: `unit` and `simulator` run in workerd beside the code, `integration` (the
 * browser's tests among it) in Node against a spawned hub.
 */
import { cloudflareTest } from "@cloudflare/vitest-plugin";
import { defineConfig } from "vitest/config";
import { bypassProxyForLoopback } from "../src/local/bypass-proxy.ts";

// Declared in wrangler.toml as required: the runner warns once a file while it is not set.
process.env["DATABASE_URL"] ??= "unset";
process.env["ADMIN_TOKEN"] ??= "unset";

// The servers under test are on this machine.
bypassProxyForLoopback();

function inWorkerd(): ReturnType<typeof cloudflareTest> {
  return cloudflareTest({
    // The real Worker, whose objects a test can make fail.
    main: "./support-in-workerd/worker.ts",
    wrangler: { configPath: "../wrangler.toml" },
    // Unit tests see a hub without a key store; those of integration have a real one.
    miniflare: { bindings: { DATABASE_URL: "", ADMIN_TOKEN: "" } },
  });
}

export default defineConfig({
  test: {
    silent: "passed-only",
    projects: [
      {
        plugins: [inWorkerd()],
        test: {
          name: "unit",
          root: import.meta.dirname,
          include: ["unit/**/*.test.ts"],
          // None of them waits for the clock: this is for machines that are busy.
          testTimeout: 20_000,
          setupFiles: ["support-in-workerd/after-each.ts"],
        },
      },
      {
        plugins: [inWorkerd()],
        test: {
          name: "simulator",
          root: import.meta.dirname,
          include: ["simulator/**/*.test.ts"],
          setupFiles: ["support-in-workerd/after-each.ts"],
        },
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
