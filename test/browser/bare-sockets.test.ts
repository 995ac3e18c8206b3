/** The blocks of docs/recipes.md for a page without the client library, in a real browser, as they stand there. */
import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, inject, test } from "vitest";
import { freshDomain, freshTopic, topicUrls } from "../support/addresses.ts";
import { startBrowser, type Browser } from "../support/browser.ts";
import { open } from "../support/client.ts";
import { documentBlock } from "../support/document-block.ts";
import { adapt } from "../support/document-commands.ts";
import { needs } from "../support/optional-program.ts";
import { runProgram, untilPrinted } from "../support/printing-page.ts";

const SUBSCRIBER = "wss://hub.example.com/ws/sub/test/hello";
const PUBLISHER = "wss://hub.example.com/ws/pub/test/hello";
const { url, sqlEndpoint } = inject("hub");

describe("docs/recipes.md", needs("chromium"), () => {
  let browser: Browser;
  let page: Page;
  beforeAll(async () => {
    browser = await startBrowser();
    page = await browser.page.context().newPage();
  });
  afterAll(() => browser.stop());

  function run(program: string): Promise<string[]> {
    return runProgram(browser, page, program);
  }

  test("has a bare socket", async () => {
    const { pub, sub } = freshTopic();
    const publisher = await open(pub);
    const block = await documentBlock("docs/recipes.md", "bare-socket");
    const printed = await run(adapt(block, { [SUBSCRIBER]: sub }));
    await untilPrinted(printed, "again", () => publisher.send("again"));
  });

  test.runIf(sqlEndpoint !== null)(
    "subscribes, and misses nothing while it is cut off",
    async () => {
      const { pub, sub } = topicUrls(url, await freshDomain({ history_messages: 100 }));
      const publisher = await open(pub);
      const block = await documentBlock("docs/recipes.md", "stream");
      // The page cuts itself off, and keeps away until it is told to come back.
      const printed = await run(`
      globalThis.setTimeout = (connect) => {
        console.log("cut");
        globalThis.comeBack = connect;
      };
      globalThis.WebSocket = class extends WebSocket {
        constructor(...args) {
          super(...args);
          globalThis.cut = () => this.close(4000);
        }
      };
      ${adapt(block, { [SUBSCRIBER]: sub })}`);
      await untilPrinted(printed, "before", () => publisher.send("before"));
      await page.evaluate("cut()");
      await untilPrinted(printed, "cut");
      publisher.send("missed");
      await page.evaluate("comeBack()");
      await untilPrinted(printed, "missed");
    },
  );

  test("publishes, and tells why not", async () => {
    const block = await documentBlock("docs/recipes.md", "publisher");
    const { pub } = freshTopic();
    const [, key = "", place = ""] = /\/ws\/pub\/([^/]+)\/(.*)$/.exec(pub) ?? [];
    const here = { [PUBLISHER]: `${url}/ws/pub/${place}` };
    const frame = '{"type":"publish","id":"1","messages":["from a page"]}';
    const printed = await run(`${adapt(block, { ...here, "YOUR-KEY": key })}
      publisher.onopen = () => publisher.send('${frame}');
      publisher.onmessage = ({ data }) => console.log(JSON.parse(data).type);`);
    await untilPrinted(printed, "ack");
    const refusal = await run(adapt(block, { ...here, "YOUR-KEY": "not a key" }));
    await untilPrinted(refusal, "4501 key-rejected");
  });
});
