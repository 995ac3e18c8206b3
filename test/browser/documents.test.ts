/** The blocks of README and docs/ for a page, in a real browser, as they stand there. */
import { join } from "node:path";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { freshDomain, freshTopic, topicUrls } from "../support/addresses.ts";
import { startBrowser, type Browser } from "../support/browser.ts";
import { open } from "../support/client.ts";
import { documentBlock } from "../support/document-block.ts";
import { adapt } from "../support/document-commands.ts";
import { needs } from "../support/optional-program.ts";
import { goToPage, runProgram, untilPrinted } from "../support/printing-page.ts";
import { run } from "../support/run.ts";

const { url, sqlEndpoint } = inject("hub");
const HUB = url.replace(/^ws/, "http");

/** A page's program, where a document has its line alone. */
const SUBSCRIBES = `<script type="module">
  import { subscribe } from "wspubsub/client";
  for await (const { data } of subscribe("wss://hub.example.com/ws/sub/test/hello")) console.log(data);
</script>`;

describe("a page", needs("chromium"), () => {
  let browser: Browser;
  let page: Page;
  beforeAll(async () => {
    browser = await startBrowser();
    page = await browser.page.context().newPage();
  });
  afterAll(() => browser.stop());

  test.each([
    ["README.md", () => documentBlock("README.md", "subscribe")],
    ["docs/client.md", () => documentBlock("docs/client.md", "subscribe")],
  ])("subscribes as in %s", async (_, block) => {
    const { pub, sub } = freshTopic();
    const publisher = await open(pub);
    const own = { "ws://localhost:8787/ws/sub/test/hello": sub, "http://localhost:8787": HUB };
    const printed = await runProgram(browser, page, adapt(await block(), own));
    await untilPrinted(printed, "again", () => publisher.send("again"));
  });

  test("subscribes as in docs/recipes.md, without the library", async () => {
    const { pub, sub } = freshTopic();
    const publisher = await open(pub);
    const own = { "wss://hub.example.com/ws/sub/test/hello": sub };
    const block = adapt(await documentBlock("docs/recipes.md", "bare-socket"), own);
    const printed = await runProgram(browser, page, block);
    await untilPrinted(printed, "again", () => publisher.send("again"));
  });

  test("publishes", async () => {
    const { pub, sub } = freshTopic();
    const [, key = "", place = ""] = /\/ws\/pub\/([^/]+)\/(.*)$/.exec(pub) ?? [];
    const block = adapt(await documentBlock("docs/client.md", "publish"), {
      "ws://localhost:8787/ws/pub/test/hello": `${url}/ws/pub/${place}`,
      "http://localhost:8787": HUB,
      "f47ac10b-58cc-4372-a567-0e02b2c3d479": key,
    });
    const printed = await runProgram(browser, page, `${block}; console.log("closed", cursor)`);
    await untilPrinted(printed, "closed");
    const subscriber = await open(`${sub}?since=earliest`);
    expect(await subscriber.texts(2)).toEqual(["a text", "these stay together"]);
  });

  test.each([
    ["README.md", async () => `${await documentBlock("README.md", "pinned")}${SUBSCRIBES}`],
    ["docs/client.md", () => documentBlock("docs/client.md", "pinned.html")],
  ])("is pinned by its hash as in %s, and nothing else runs", async (_, block) => {
    const args = ["src/local/build/build.ts", "--client", "--json", "--hub", HUB];
    const { stdout } = await run("node", args, { cwd: join(import.meta.dirname, "../..") });
    const built = JSON.parse(stdout) as { url: string; integrity: string };
    const { pub, sub } = freshTopic();
    const publisher = await open(pub);
    const html = adapt(await block(), {
      "wss://hub.example.com/ws/sub/test/hello": sub,
      "https://hub.example.com/client-HASH.js": built.url,
      "sha384-INTEGRITY": built.integrity,
    });
    const printed = await goToPage(browser, page, html);
    await untilPrinted(printed, "again", () => publisher.send("again"));
    const wrong = html.replace(built.integrity, `sha384-${"A".repeat(64)}`);
    await untilPrinted(await goToPage(browser, page, wrong), "integrity");
  });

  test.runIf(sqlEndpoint !== null)("goes on where the reader left off", async () => {
    const { pub, sub } = topicUrls(url, await freshDomain({ history_messages: 100 }));
    const publisher = await open(pub);
    publisher.send("first");
    const html = adapt(await documentBlock("docs/client.md", "page.html"), {
      "wss://hub.example.com/ws/sub/test/hello": sub,
      "https://hub.example.com": HUB,
    });
    await goToPage(browser, page, html);
    const items = (): Promise<string[]> => page.locator("#news li").allTextContents();
    await expect.poll(items).toEqual(["first"]);
    expect(await page.textContent("#state")).toBe("connected");
    await page.goto("about:blank");
    publisher.send("second");
    await goToPage(browser, page, html);
    await expect.poll(items).toEqual(["second"]);
  });
});
