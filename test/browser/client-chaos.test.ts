/** The client library in a real browser whose connections break. */
import { afterAll, beforeAll, describe, inject, test, vi } from "vitest";
import { startBrowser, type Browser } from "../support/browser.ts";
import { expectExactlyOnce } from "../support/chaos/exactly-once.ts";
import { freshPlace } from "../support/chaos/fresh-place.ts";
import { startInPage } from "../support/chaos/page-run.ts";
import { needs } from "../support/optional-program.ts";

const { sqlEndpoint } = inject("hub");
// For machines that are busy.
vi.setConfig({ testTimeout: 180_000 });

describe.runIf(sqlEndpoint !== null)("the client in a browser", needs("chromium"), () => {
  let browser: Browser;
  beforeAll(async () => {
    browser = await startBrowser();
  });
  afterAll(() => browser.stop());

  test("loses nothing and repeats nothing where it is cut ten times, on both sides", async () => {
    const start = startInPage.bind(null, browser.page);
    await expectExactlyOnce(await freshPlace(), { cuts: 10, seed: 4, start });
  });
});
