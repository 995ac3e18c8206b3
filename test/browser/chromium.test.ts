/** A real browser as publisher and as subscriber: what its WebSocket makes of the hub. */
import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { freshTopic } from "../support/addresses.ts";
import { startBrowser, type Browser } from "../support/browser.ts";
import { open } from "../support/client.ts";
import { needs } from "../support/optional-program.ts";

describe("a browser's sockets", needs("chromium"), () => {
  let browser: Browser;
  let page: Page;
  beforeAll(async () => {
    browser = await startBrowser();
    ({ page } = browser);
  });
  afterAll(() => browser.stop());

  test("a browser subscribes: text and binary, in order, then the hub's answer to its close", async () => {
    const { pub, sub } = freshTopic();
    const publisher = await open(pub);
    const received = page.evaluate(async (url) => {
      const socket = new WebSocket(url);
      socket.binaryType = "arraybuffer";
      const items: unknown[] = [];
      socket.addEventListener("open", () => socket.send("wspubsub:ping"));
      await new Promise<void>((resolve) => {
        socket.onmessage = ({ data }) => {
          items.push(typeof data === "string" ? data : [...new Uint8Array(data)]);
          if (data === "wspubsub:pong") document.title = "open";
          if (data === "last") resolve();
        };
      });
      const closed = new Promise<CloseEvent>((resolve) => (socket.onclose = resolve));
      socket.close(3001, "enough");
      const { code, reason, wasClean } = await closed;
      return { items, code, reason, wasClean };
    }, sub);
    await page.waitForFunction(() => document.title === "open");
    publisher.send("first");
    publisher.send(Buffer.from([0, 128, 255]));
    publisher.send("last");
    expect(await received).toEqual({
      items: ["wspubsub:pong", "first", [0, 128, 255], "last"],
      code: 3001,
      reason: "enough",
      wasClean: true,
    });
  });

  test("a browser publishes", async () => {
    const { pub, sub } = freshTopic();
    await page.evaluate(async (url) => {
      const socket = new WebSocket(url);
      await new Promise((resolve) => (socket.onopen = resolve));
      Object.assign(window, { publisher: socket });
    }, pub);
    const subscriber = await open(sub);
    await page.evaluate(() => {
      const { publisher } = window as unknown as { publisher: WebSocket };
      publisher.send("from a browser");
      publisher.send(new Uint8Array([1, 2, 3]));
      publisher.send(new Blob(["blob"]));
    });
    expect(await subscriber.next()).toEqual({ type: "text", text: "from a browser" });
    expect(await subscriber.next()).toEqual({ type: "binary", bytes: Buffer.from([1, 2, 3]) });
    expect(await subscriber.next()).toEqual({ type: "binary", bytes: Buffer.from("blob") });
  });

  test("a refused handshake is an error and 1006 to a browser", async () => {
    const { sub } = freshTopic();
    const code = await page.evaluate(async (url) => {
      const socket = new WebSocket(url);
      return (await new Promise<CloseEvent>((resolve) => (socket.onclose = resolve))).code;
    }, sub);
    expect(code).toBe(1006);
  });

  test("4.6 12.1 a browser presents its key as a subprotocol, and learns why it is refused", async () => {
    const { sub } = freshTopic();
    const { key } = inject("hub");
    const connect = (secret: string) =>
      page.evaluate(
        async ([url, text]) => {
          const encoded = btoa(text).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
          const name = `base64url.bearer.authorization.wspubsub.${encoded}`;
          const socket = new WebSocket(url, ["wspubsub.raw", name]);
          const opened = new Promise<string>((resolve) => {
            socket.onopen = () => resolve(socket.protocol);
          });
          const closed = new Promise<CloseEvent>((resolve) => (socket.onclose = resolve));
          const protocol = await opened;
          // Admitted, it is answered; refused, it is closed.
          socket.onmessage = () => socket.close(3000, "answered");
          socket.send("wspubsub:ping");
          const { code, reason } = await closed;
          return { protocol, code, reason };
        },
        [`${sub.replace("/ws/sub/", "/ws/pub/")}?explain=1`, secret] as const,
      );
    expect(await connect("wrong")).toEqual({
      protocol: "wspubsub.raw",
      code: 4501,
      reason: "key-rejected",
    });
    expect(await connect(key)).toEqual({
      protocol: "wspubsub.raw",
      code: 3000,
      reason: "answered",
    });
  });
});
