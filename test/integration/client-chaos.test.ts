/** The client library behind connections that break: nothing lost, nothing twice, in order, and nothing left. */
import { describe, inject, test, vi } from "vitest";
import { startClient } from "../support/chaos/client-run.ts";
import { expectExactlyOnce } from "../support/chaos/exactly-once.ts";
import { freshPlace } from "../support/chaos/fresh-place.ts";
import { startPreviousHub } from "../support/chaos/previous-hub.ts";
import { needs } from "../support/optional-program.ts";

const { sqlEndpoint } = inject("hub");
// For machines that are busy.
vi.setConfig({ testTimeout: 180_000 });

describe.runIf(sqlEndpoint !== null)("cut at any byte, on both sides", () => {
  test("in Node, fifty times", async () => {
    const start = startClient.bind(null, "node");
    await expectExactlyOnce(await freshPlace(), { cuts: 50, seed: 1, start });
  });

  test("in Deno, ten times", needs("deno"), async () => {
    const start = startClient.bind(null, "deno");
    await expectExactlyOnce(await freshPlace(), { cuts: 10, seed: 2, start });
  });

  test("in Bun, ten times", needs("bun"), async () => {
    const start = startClient.bind(null, "bun");
    await expectExactlyOnce(await freshPlace(), { cuts: 10, seed: 3, start });
  });

  test("before a hub of the version before, ten times", async () => {
    const place = await freshPlace({}, await startPreviousHub());
    const start = startClient.bind(null, "node");
    await expectExactlyOnce(place, { cuts: 10, seed: 5, start, cannotFinish: true });
  });
});
