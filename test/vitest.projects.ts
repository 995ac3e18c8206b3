/** The test runner's projects, in the sizes of `npm test`; `npm run test:long` has its own files (vitest.long.config.ts). */
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { cloudflareTest } from "@cloudflare/vitest-plugin";
import type { TestProjectInlineConfiguration } from "vitest/config";
import { buildClient } from "../src/local/build/build-client.ts";

/** The same for all, else they would run one after the other. Most tests wait for programs: two a core keep it busy. */
const maxWorkers: number = 2 * availableParallelism();
const root: string = import.meta.dirname;

// Declared in wrangler.toml as required: the runner warns once a file while it is not set.
process.env["DATABASE_URL"] ??= "unset";
process.env["ADMIN_TOKEN"] ??= "unset";

// The Worker's sources import it, and here no wrangler builds it.
await buildClient(join(root, ".."));

function inWorkerd(): ReturnType<typeof cloudflareTest> {
  return cloudflareTest({
    // The real Worker, whose objects a test can make fail.
    main: "./support-in-workerd/worker.ts",
    wrangler: { configPath: "../wrangler.toml" },
    // Unit tests see a hub without a key store; those of integration have a real one.
    miniflare: { bindings: { DATABASE_URL: "", ADMIN_TOKEN: "" } },
  });
}

/** In workerd, beside the code. */
export function unit(): TestProjectInlineConfiguration {
  return {
    plugins: [inWorkerd()],
    test: {
      name: "unit",
      root,
      include: ["unit/**/*.test.ts"],
      // A workerd for each file would cost more than all tests.
      isolate: false,
      maxWorkers,
      // None of them waits for the clock: this is for machines that are busy.
      testTimeout: 60_000,
      setupFiles: ["support-in-workerd/after-each.ts"],
    },
  };
}

/** In workerd, too: made-up histories. */
export function simulator(): TestProjectInlineConfiguration {
  return {
    plugins: [inWorkerd()],
    test: {
      name: "simulator",
      root,
      include: ["simulator/**/*.test.ts"],
      maxWorkers,
      setupFiles: ["support-in-workerd/after-each.ts"],
    },
  };
}

/** In Node, the client library without a hub, or against one that a test plays. */
export function client(): TestProjectInlineConfiguration {
  return {
    test: {
      name: "client",
      root,
      include: ["client/**/*.test.ts"],
      maxWorkers,
      testTimeout: 60_000,
    },
  };
}

/** In Node, against a spawned hub that all files share; the browser's tests are among them. */
export function integration(name: string, include: string[]): TestProjectInlineConfiguration {
  return {
    test: {
      name,
      root,
      include,
      maxWorkers,
      testTimeout: 60_000,
      hookTimeout: 60_000,
      globalSetup: ["support/report-skipped.ts", "support/run-folder.ts", "support/shared-hub.ts"],
    },
  };
}
