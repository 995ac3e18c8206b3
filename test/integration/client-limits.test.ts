/** The client library where something ends, is silent or is not enough: nothing is lost, and nothing comes twice. */
import { describe, inject, test, vi } from "vitest";
import { expectKeepsOrder } from "../support/chaos/overloaded.ts";
import { expectObeysRate } from "../support/chaos/rate-limited.ts";
import { expectOutlivesTokens } from "../support/chaos/short-tokens.ts";
import { expectNoticesSilence } from "../support/chaos/silent-link.ts";
import { expectBoundedBehind } from "../support/chaos/slow-reader.ts";

const { sqlEndpoint } = inject("hub");
// For machines that are busy.
vi.setConfig({ testTimeout: 180_000 });

describe.runIf(sqlEndpoint !== null)("the client goes on", () => {
  test("where tokens last two seconds, three of them", () => expectOutlivesTokens(3));

  test("where a loop stands still while 16 MiB are published, and little is sent ahead", () =>
    expectBoundedBehind("node", 16));

  test("where it would publish faster than its domain allows", () => expectObeysRate(100, 3));

  test("where its hub has too much to do, three times", () => expectKeepsOrder(3, 6));

  test("within 20 seconds where both links go silent with their sockets open", () =>
    expectNoticesSilence("node", 20));
});
