/** What the global setup hands to tests, and what tests say about themselves, typed for vitest. */
import type { ProgramName } from "./find-program.ts";
import type { HubUnderTest } from "./shared-hub.ts";

declare module "vitest" {
  interface ProvidedContext {
    hub: HubUnderTest;
  }

  interface TaskMeta {
    /** What the test cannot do without: `needs` sets it. */
    needs?: ProgramName;
  }
}
