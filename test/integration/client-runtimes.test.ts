/** What the client library makes of a runtime's WebSocket: a refusal's code and reason arrive in each of them. */
import { describe, expect, inject, test, vi } from "vitest";
import { startClient, type RuntimeName } from "../support/chaos/client-run.ts";
import { startChaos } from "../support/chaos/exactly-once.ts";
import { freshPlace } from "../support/chaos/fresh-place.ts";
import { needs } from "../support/optional-program.ts";

const { sqlEndpoint } = inject("hub");
// For machines that are busy.
vi.setConfig({ testTimeout: 180_000 });

/** A publisher whose key opens nothing fails at once, with the hub's word for it. */
async function expectRefused(runtime: RuntimeName): Promise<void> {
  const { publisher, task } = await startChaos({ ...(await freshPlace()), key: "a wrong key" });
  const run = await startClient(runtime, { publish: task.publish });
  await expect(run.ended()).rejects.toThrow("key-rejected");
  expect(publisher.counts.connections).toBe(1);
}

describe.runIf(sqlEndpoint !== null)("a refusal is final", () => {
  test("in Node", () => expectRefused("node"));

  test("in Deno", needs("deno"), () => expectRefused("deno"));

  test("in Bun", needs("bun"), () => expectRefused("bun"));
});
