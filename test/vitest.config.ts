/** What `npm test` runs. */
import { defineConfig } from "vitest/config";
import { bypassProxyForLoopback } from "../src/local/bypass-proxy.ts";
import { client, integration, simulator, unit } from "./vitest.projects.ts";

// The servers under test are on this machine.
bypassProxyForLoopback();

export default defineConfig({
  test: {
    silent: "passed-only",
    projects: [
      unit(),
      simulator(),
      client(),
      integration("integration", ["integration/**/*.test.ts", "browser/**/*.test.ts"]),
    ],
  },
});
