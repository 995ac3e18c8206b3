/**
 * PROTOCOL.md, 9.5, 10.4 and 10.9, as a stock client lives them: its connection is cut again and again,
 * at any byte, and nothing is missed or repeated.
 */
import { once } from "node:events";
import { connect, createServer, type AddressInfo } from "node:net";
import { WebSocket as PartySocket } from "partysocket";
import { afterEach, describe, expect, inject, test } from "vitest";
import { freshDomain, topicUrls, type TopicUrls } from "../support/addresses.ts";
import {
  messagesOf,
  parseFrame,
  publishFrame,
  STREAM,
  StreamPublisher,
  StreamSubscriber,
} from "../support/stream-client.ts";

const CUTS = 50;
/** Publishes that wait for their acks. */
const WINDOW = 32;
const DURABLE = { history_messages: 100_000, history_seconds: 3600 };
const IMPATIENT = {
  minReconnectionDelay: 1,
  maxReconnectionDelay: 20,
  minUptime: 0,
  maxEnqueuedMessages: 0,
};

const hub = inject("hub");
const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

/** A TCP proxy before the hub that cuts its first connections, each after so many bytes. */
async function startCuttingProxy(
  direction: "from the hub" | "to the hub",
): Promise<{ through(url: string): string; cuts(): number }> {
  const { hostname, port } = new URL(hub.url);
  let cuts = 0;
  const proxy = createServer((client) => {
    const upstream = connect(Number(port), hostname);
    // From the handshake on, in the middle of frames as well as between them.
    let left = cuts < CUTS ? 100 + ((cuts * 7919) % 2000) : Infinity;
    const cut = () => {
      client.destroy();
      upstream.destroy();
    };
    for (const [from, to] of [
      [upstream, client],
      [client, upstream],
    ] as const) {
      const counts = (from === upstream) === (direction === "from the hub");
      from.on("data", (chunk: Buffer) => {
        if (!counts || chunk.length < left) {
          if (counts) left -= chunk.length;
          to.write(chunk);
          return;
        }
        to.write(chunk.subarray(0, left), cut);
        if (left > 0) cuts++;
        left = 0;
      });
      from.on("close", cut);
      from.on("error", cut);
    }
  });
  proxy.listen(0, "127.0.0.1");
  await once(proxy, "listening");
  closers.push(() => proxy.close());
  const own = `ws://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
  return { through: (url) => url.replace(hub.url, own), cuts: () => cuts };
}

async function freshUrls(): Promise<TopicUrls> {
  return topicUrls(hub.url, await freshDomain(DURABLE));
}

describe.runIf(hub.sqlEndpoint !== null)("partysocket, cut off fifty times", () => {
  test("9.5 10.4 as a subscriber: comes back with its last cursor and misses nothing", async () => {
    const { pub, sub } = await freshUrls();
    const publisher = await StreamPublisher.open(pub);
    const proxy = await startCuttingProxy("from the hub");
    const received: string[] = [];
    let cursor = (await StreamSubscriber.open(sub)).cursor;
    const subscriber = new PartySocket(
      () => `${proxy.through(sub)}?since=${cursor}`,
      [STREAM],
      IMPATIENT,
    );
    closers.push(() => subscriber.close());
    const done = new Promise<void>((resolve) => {
      subscriber.addEventListener("message", ({ data }) => {
        const frame = parseFrame(String(data));
        if ("cursor" in frame) ({ cursor } = frame);
        if (frame.type === "messages") received.push(...messagesOf(frame).map(String));
        if (frame.type === "gap") received.push("a gap");
        if (received.at(-1) === "last") resolve();
      });
    });
    const published: string[] = [];
    const publishNext = () => {
      const messages = [`${published.length}`, `${published.length + 1}`];
      published.push(...messages);
      publisher.send(messages);
    };
    for (let n = 0; n < WINDOW; n++) publishNext();
    while (proxy.cuts() < CUTS) {
      await publisher.ack();
      publishNext();
    }
    for (let n = 0; n < WINDOW; n++) await publisher.ack();
    await publisher.publish(["last"]);
    await done;
    expect(received).toEqual([...published, "last"]);
  });

  test("10.9 5.5 as a publisher: sends again what was not acknowledged, and nothing is published twice", async () => {
    const { pub, sub } = await freshUrls();
    const proxy = await startCuttingProxy("to the hub");
    const publisher = new PartySocket(`${proxy.through(pub)}?takeover=1`, [STREAM], IMPATIENT);
    closers.push(() => publisher.close());
    // By id, in the order of publishing.
    const unacknowledged = new Map<string, string>();
    let published = 0;
    const publishNext = () => {
      const message = proxy.cuts() < CUTS ? String(published++) : "last";
      const frame = publishFrame(`id-of-${message}`, [message]);
      unacknowledged.set(`id-of-${message}`, frame);
      publisher.send(frame);
    };
    let isStarted = false;
    publisher.addEventListener("open", () => {
      for (const frame of unacknowledged.values()) publisher.send(frame);
      if (!isStarted) for (let n = 0; n < WINDOW; n++) publishNext();
      isStarted = true;
    });
    const done = new Promise<void>((resolve) => {
      publisher.addEventListener("message", ({ data }) => {
        const frame = parseFrame(String(data));
        if (frame.type !== "ack") throw new Error(`Expected an ack, not ${String(data)}`);
        unacknowledged.delete(frame.id);
        if (frame.id === "id-of-last") resolve();
        else if (!unacknowledged.has("id-of-last")) publishNext();
      });
    });
    await done;
    const subscriber = await StreamSubscriber.open(`${sub}?since=earliest`);
    const all = Array.from({ length: published }, (_, n) => String(n));
    expect(await subscriber.messages(published + 1)).toEqual([...all, "last"]);
  });
});
