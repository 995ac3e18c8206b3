/** The client library through a thousand cuts and other long troubles; test/integration/client-*.test.ts has the short ones. */
import { describe, inject, test } from "vitest";
import { startClient } from "../support/chaos/client-run.ts";
import { expectExactlyOnce } from "../support/chaos/exactly-once.ts";
import { freshPlace } from "../support/chaos/fresh-place.ts";
import { expectSurvivesKills } from "../support/chaos/killed-hub.ts";
import { expectOutboxKeeps } from "../support/chaos/killed-publisher.ts";
import { expectKeepsOrder } from "../support/chaos/overloaded.ts";
import { startPreviousHub } from "../support/chaos/previous-hub.ts";
import { expectObeysRate } from "../support/chaos/rate-limited.ts";
import { expectOutlivesTokens } from "../support/chaos/short-tokens.ts";
import {
  expectNoticesSilence,
  expectSucceedsItself,
  expectSurvivesDeafness,
} from "../support/chaos/silent-link.ts";
import { expectBoundedBehind } from "../support/chaos/slow-reader.ts";
import { needs } from "../support/optional-program.ts";

const { sqlEndpoint } = inject("hub");
/** Another one each time, which a failure names. */
const seed = Date.now() % 1_000_000;
const MINUTE = 60_000;

describe.runIf(sqlEndpoint !== null)("the client library, for long", () => {
  test("in Node, cut a thousand times on both sides", { timeout: 60 * MINUTE }, async () => {
    const start = startClient.bind(null, "node");
    await expectExactlyOnce(await freshPlace(), { cuts: 1000, seed, start });
  });

  test("in Deno, cut a hundred times", { timeout: 5 * MINUTE, ...needs("deno") }, async () => {
    const start = startClient.bind(null, "deno");
    await expectExactlyOnce(await freshPlace(), { cuts: 100, seed, start });
  });

  test("in Bun, cut a hundred times", { timeout: 5 * MINUTE, ...needs("bun") }, async () => {
    const start = startClient.bind(null, "bun");
    await expectExactlyOnce(await freshPlace(), { cuts: 100, seed, start });
  });

  test("before a hub of the version before", { timeout: 5 * MINUTE }, async () => {
    const place = await freshPlace({}, await startPreviousHub());
    const start = startClient.bind(null, "node");
    await expectExactlyOnce(place, { cuts: 100, seed, start, cannotFinish: true });
  });

  test("where the hub is killed, twenty times", { timeout: 5 * MINUTE }, () =>
    expectSurvivesKills(20),
  );

  test("where a publisher with an outbox is killed, twenty times", { timeout: 5 * MINUTE }, () =>
    expectOutboxKeeps("node", 20),
  );

  test("where one in Deno is killed, ten times", { timeout: 5 * MINUTE, ...needs("deno") }, () =>
    expectOutboxKeeps("deno", 10),
  );

  test("where one in Bun is killed, ten times", { timeout: 5 * MINUTE, ...needs("bun") }, () =>
    expectOutboxKeeps("bun", 10),
  );

  test("where tokens last two seconds, for a minute", { timeout: 5 * MINUTE }, () =>
    expectOutlivesTokens(40),
  );

  test("where a loop stands still while 128 MiB are published", { timeout: 10 * MINUTE }, () =>
    expectBoundedBehind("node", 128),
  );

  test("where it is held up by its rate for a minute", { timeout: 5 * MINUTE }, () =>
    expectObeysRate(50, 60),
  );

  test("where its hub has too much to do, thirty times", { timeout: 5 * MINUTE }, () =>
    expectKeepsOrder(30, seed),
  );

  test(
    "where a publisher that displaces nobody is cut off unnoticed",
    { timeout: 5 * MINUTE },
    () => expectSucceedsItself(),
  );

  test.each(["toHub", "toClient"] as const)(
    "where all bytes %s are held up",
    { timeout: 2 * MINUTE },
    (direction) => expectSurvivesDeafness(direction),
  );

  test("in Deno, where links go silent", { timeout: 5 * MINUTE, ...needs("deno") }, () =>
    expectNoticesSilence("deno", 20),
  );

  test("in Bun, where links go silent", { timeout: 5 * MINUTE, ...needs("bun") }, () =>
    expectNoticesSilence("bun", 20),
  );
});
