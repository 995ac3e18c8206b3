/** PROTOCOL.md, section 10, in a real browser: with nothing but its own WebSocket and JSON. */
import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { freshTopic } from "../support/addresses.ts";
import { startBrowser, type Browser } from "../support/browser.ts";
import { open } from "../support/client.ts";
import { needs } from "../support/optional-program.ts";
import { StreamPublisher, StreamSubscriber } from "../support/stream-client.ts";

describe("a browser's streams", needs("chromium"), () => {
  let browser: Browser;
  let page: Page;
  beforeAll(async () => {
    browser = await startBrowser();
    ({ page } = browser);
  });
  afterAll(() => browser.stop());

  test("10.3 10.4 a browser subscribes to a stream, leaves, and comes back with its last cursor", async () => {
    const { pub, sub } = freshTopic();
    const publisher = await StreamPublisher.open(pub);
    /** The browser's frames up to the message "last"; its title says that it listens. */
    const receive = (url: string) =>
      page.evaluate(async (address) => {
        const socket = new WebSocket(address, "wspubsub.v1");
        const frames: Record<string, unknown>[] = [];
        await new Promise<void>((resolve) => {
          socket.onmessage = ({ data }) => {
            const frame = JSON.parse(data);
            frames.push(frame);
            if (frame.type === "open") document.title = "open";
            if (frame.messages?.at(-1) === "last") resolve();
          };
        });
        document.title = "closed";
        const closed = new Promise((resolve) => (socket.onclose = resolve));
        socket.close();
        await closed;
        return { protocol: socket.protocol, frames };
      }, url);

    const first = receive(sub);
    await page.waitForFunction(() => document.title === "open");
    const last = await publisher.publish(["Grüße 👋", Buffer.from([0, 255, 128]), "", "last"]);
    const { protocol, frames } = await first;
    expect(protocol).toBe("wspubsub.v1");
    expect(frames[0]).toMatchObject({ type: "open", recovered: null });
    expect(frames.slice(1).flatMap(({ messages }) => messages)).toEqual([
      "Grüße 👋",
      { base64: "AP+A" },
      "",
      "last",
    ]);
    expect(frames.at(-1)?.["cursor"]).toBe(last);

    await publisher.publish(["missed", "last"]);
    const { frames: afterwards } = await receive(`${sub}?since=${last}`);
    expect(afterwards[0]).toEqual({ type: "open", cursor: last, recovered: true });
    expect(afterwards.slice(1).flatMap(({ messages }) => messages)).toEqual(["missed", "last"]);
  });

  test("10.8 10.10 a browser publishes a stream, and is told what is wrong with a frame", async () => {
    const { pub, sub } = freshTopic();
    await page.evaluate(async (url) => {
      const socket = new WebSocket(url, "wspubsub.v1");
      await new Promise((resolve) => (socket.onopen = resolve));
      Object.assign(window, { publisher: socket });
    }, pub);
    const raw = await open(sub);
    const stream = await StreamSubscriber.open(sub);
    const outcome = await page.evaluate(async () => {
      const { publisher } = window as unknown as { publisher: WebSocket };
      const answers: Record<string, unknown>[] = [];
      const closed = new Promise<CloseEvent>((resolve) => (publisher.onclose = resolve));
      const publish = (id: string, ...messages: unknown[]) =>
        publisher.send(JSON.stringify({ type: "publish", id, messages }));
      publisher.onmessage = ({ data }) => {
        if (answers.push(JSON.parse(data)) === 2) publish("third", "good", 7);
      };
      publish("first", "from a browser", { base64: "AQID" });
      publish("second", "more");
      const { code, reason } = await closed;
      return { answers, code, reason };
    });
    expect(outcome).toMatchObject({
      answers: [
        { type: "ack", id: "first" },
        { type: "ack", id: "second" },
        { type: "error", id: "third", problem: { type: "urn:wspubsub:problem:invalid-frame" } },
      ],
      code: 4500,
      reason: "invalid-frame",
    });
    expect(await raw.texts(1)).toEqual(["from a browser"]);
    expect(await raw.next()).toEqual({ type: "binary", bytes: Buffer.from([1, 2, 3]) });
    expect(await raw.texts(1)).toEqual(["more"]);
    expect(await stream.messages(3)).toEqual(["from a browser", Buffer.from([1, 2, 3]), "more"]);
    expect(stream.cursor).toBe(outcome.answers[1]?.["cursor"]);
  });
});
