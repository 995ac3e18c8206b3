/** What the global setup hands to tests, typed for `inject`. */
import type { HubUnderTest } from "./shared-hub.ts";

declare module "vitest" {
  interface ProvidedContext {
    hub: HubUnderTest;
  }
}
