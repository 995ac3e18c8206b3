/** The client library where a program is killed in the middle: the hub, or the publisher. */
import { describe, inject, test, vi } from "vitest";
import { expectFinishesUnderCuts } from "../support/chaos/finished-under-cuts.ts";
import { expectSurvivesKills } from "../support/chaos/killed-hub.ts";
import { expectOutboxKeeps } from "../support/chaos/killed-publisher.ts";

const { sqlEndpoint } = inject("hub");
// For machines that are busy.
vi.setConfig({ testTimeout: 180_000 });

describe.runIf(sqlEndpoint !== null)("nothing is lost, and nothing comes twice", () => {
  test("where topics are finished under cuts, ten at a time", () =>
    expectFinishesUnderCuts(10, 100));

  test("where the hub is killed, twice", () => expectSurvivesKills(2));

  test("where the publisher is killed and started with its outbox, three times", () =>
    expectOutboxKeeps("node", 3));
});
