/** The client library in a real browser: a hundred cuts, a link that is dead for 20 seconds, and a page that is frozen. */
import { setTimeout } from "node:timers/promises";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, inject, onTestFinished, test } from "vitest";
import { startBrowser, startHidingBrowser, type Browser } from "../support/browser.ts";
import type { ChaosProxy } from "../support/chaos/chaos-proxy.ts";
import { expectExactlyOnce, startChaos } from "../support/chaos/exactly-once.ts";
import { freshPlace } from "../support/chaos/fresh-place.ts";
import { startInPage } from "../support/chaos/page-run.ts";
import { open } from "../support/client.ts";
import { needs } from "../support/optional-program.ts";

const { sqlEndpoint } = inject("hub");
const MINUTE = 60_000;
const AWAY_MS = 20_000;
/** After the network, or the page, is back. */
const BACK_WITHIN_MS = 300;

/** What is done to a page and its links, and how it ends. */
type Away = (
  page: Page,
  proxies: readonly ChaosProxy[],
) => Promise<{ comeBack: () => Promise<unknown> }>;

/** Has both roles in a page away for so long; expects them to be back at once, and to have lost nothing. */
async function expectBackAtOnce(
  beside: Page,
  goAway: Away,
  /** What both have noticed in the meantime. */
  noticed: "nothing" | "the loss",
): Promise<void> {
  const place = await freshPlace();
  const { publisher, subscriber, control, task } = await startChaos(place);
  const run = await startInPage(beside, task);
  const ended = run.ended({ withinSeconds: 60 });
  await Promise.race([run.reported(/"reading"/), ended]);
  const { comeBack } = await goAway(run.page, [publisher, subscriber]);
  await setTimeout(AWAY_MS);
  const connected = run.reports().filter((report) => report.type === "connected");
  expect(connected).toHaveLength(noticed === "nothing" ? 2 : 4);
  await comeBack();
  const from = performance.now();
  const bare = open(place.sub).then((client) => {
    client.socket.terminate();
    return performance.now() - from;
  });
  await Promise.all([
    run.reported(/"role":"publisher","isConnected":true,"time":2/),
    run.reported(/"role":"subscriber","isConnected":true,"time":2/),
  ]);
  const backMs = performance.now() - from;
  // A machine that is busy takes longer over any handshake.
  expect(backMs).toBeLessThan(BACK_WITHIN_MS + (await bare));
  control.say("stop");
  const { published, read } = await ended;
  expect(read).toBe(published);
}

describe.runIf(sqlEndpoint !== null)("the client in a browser", needs("chromium"), () => {
  let browser: Browser;
  beforeAll(async () => {
    browser = await startBrowser();
  });
  afterAll(() => browser.stop());

  test("is cut a hundred times on both sides", { timeout: 5 * MINUTE }, async () => {
    const start = startInPage.bind(null, browser.page);
    const seed = Date.now() % 1_000_000;
    await expectExactlyOnce(await freshPlace(), { cuts: 100, seed, start });
  });

  test("is back at once where the network was dead for 20 seconds", { timeout: 2 * MINUTE }, () =>
    expectBackAtOnce(
      browser.page,
      async (page, proxies) => {
        await page.context().setOffline(true);
        for (const proxy of proxies) proxy.freeze();
        const comeBack = () => {
          for (const proxy of proxies) proxy.thaw();
          return page.context().setOffline(false);
        };
        return { comeBack };
      },
      "the loss",
    ),
  );

  test(
    "is back at once where its page was frozen and its links died",
    { timeout: 2 * MINUTE },
    async () => {
      const hiding = await startHidingBrowser();
      onTestFinished(() => hiding.stop());
      await expectBackAtOnce(
        hiding.page,
        async (page, proxies) => {
          const session = await page.context().newCDPSession(page);
          const { windowId } = await session.send("Browser.getWindowForTarget");
          const setWindow = (windowState: "minimized" | "normal") =>
            session.send("Browser.setWindowBounds", { windowId, bounds: { windowState } });
          const setState = (state: "frozen" | "active") =>
            session.send("Page.setWebLifecycleState", { state });
          await setWindow("minimized");
          await page.waitForFunction("document.visibilityState === 'hidden'");
          await setState("frozen");
          for (const proxy of proxies) proxy.strandAll();
          return {
            comeBack: async () => {
              await setState("active");
              await setWindow("normal");
            },
          };
        },
        "nothing",
      );
    },
  );
});
