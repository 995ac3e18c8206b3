/** PROTOCOL.md, 9.11 and 10.14, over real sockets: a topic that is finished, read when it is over, and a hub that dies. */
import { afterEach, describe, expect, inject, test } from "vitest";
import { databaseUrl, freshDomain, topicUrls, type TopicUrls } from "../support/addresses.ts";
import { startBareHub } from "../support/bare-hub.ts";
import { Client, connect, open, refused } from "../support/client.ts";
import type { HubProcess } from "../support/hub-process.ts";
import { STREAM, StreamPublisher, StreamSubscriber } from "../support/stream-client.ts";

const hub = inject("hub");
const isLocal = hub.sqlEndpoint !== null;

const TOPIC_FINISHED = { code: 1000, reason: "topic-finished" };
const KEPT = { history_seconds: 3600 };
const LOGS = [
  ["kept", KEPT],
  ["in memory", null],
] as const;

/** Whatever of a publisher's is not acknowledged, in order, with what ends its topic as the last. */
type Unanswered = Map<string, readonly string[]>;

/** Says all that was not acknowledged; takes answers until all is, or the connection ends. Whether all is. */
async function sayAll(url: string, unanswered: Unanswered): Promise<boolean> {
  try {
    const publisher = await StreamPublisher.open(url);
    for (const [id, messages] of unanswered) {
      if (id === "end") publisher.sendFinish(messages, id);
      else publisher.send(messages, id);
    }
    while (unanswered.size > 0) unanswered.delete((await publisher.ack()).id);
    expect(await publisher.client.closed()).toEqual(TOPIC_FINISHED);
    return true;
  } catch {
    // The hub was killed, or the topic has a publisher whose loss it has not noticed.
    return false;
  }
}

/** What is kept of a topic that was finished; nothing where it is 404. */
async function readKept(sub: string): Promise<unknown[]> {
  const url = `${sub}?since=earliest`;
  const answer = await connect(url, [STREAM]);
  if (!(answer instanceof Client)) return [];
  answer.socket.terminate();
  const { messages, reason } = await readLate(url);
  expect(reason).toBe("finished");
  return messages;
}

/** All that a subscriber is given of a topic that is over. */
async function readLate(url: string): Promise<{ messages: unknown[]; reason: unknown }> {
  const reader = await StreamSubscriber.open(url);
  const messages: unknown[] = [];
  let reason: unknown = null;
  const frames = await reader.frames();
  for (const frame of frames) {
    if (frame.type === "messages") messages.push(...frame.messages);
    if (frame.type === "end") reason = frame.reason;
  }
  return { messages, reason };
}

describe.runIf(isLocal)("a topic that is finished", () => {
  test.each(LOGS)(
    "8.1 10.14 its publisher and subscribers are told at once: %s",
    async (_, policy) => {
      const { pub, sub } = topicUrls(hub.url, await freshDomain(policy));
      const publisher = await StreamPublisher.open(pub);
      const stream = await StreamSubscriber.open(sub);
      const raw = await open(sub);
      const first = publisher.send(["a"]);
      const last = publisher.sendFinish(["b", Buffer.from([0, 255])]);
      expect(await publisher.ack()).toMatchObject({ id: first });
      const { id, cursor } = await publisher.ack();
      expect(id).toBe(last);
      expect(await publisher.client.closed()).toEqual(TOPIC_FINISHED);
      expect(await stream.until(cursor)).toEqual(["a", "b", Buffer.from([0, 255])]);
      expect(await stream.end()).toBe("finished");
      expect(await stream.client.closed()).toEqual(TOPIC_FINISHED);
      expect(await raw.texts(2)).toEqual(["a", "b"]);
      await raw.next();
      expect(await raw.closed()).toEqual(TOPIC_FINISHED);
      expect((await refused(sub)).status).toBe(404);
    },
  );

  test("9.11 is read by raw and stream clients, again and again", async () => {
    const { pub, sub } = topicUrls(hub.url, await freshDomain(KEPT));
    const publisher = await StreamPublisher.open(pub);
    const cursor = await publisher.publish(["a"]);
    publisher.sendFinish(["b"]);
    expect(await publisher.ack()).toMatchObject({ type: "ack" });
    for (const [since, messages] of [
      ["earliest", ["a", "b"]],
      [cursor, ["b"]],
      ["-1", ["b"]],
    ] as const) {
      const stream = await StreamSubscriber.open(`${sub}?since=${since}`);
      expect(stream.opened.recovered).toBe(true);
      expect(await stream.messages(messages.length)).toEqual(messages);
      expect(await stream.end()).toBe("finished");
      expect(await stream.client.closed()).toEqual(TOPIC_FINISHED);
      const raw = await open(`${sub}?since=${since}`);
      expect(await raw.texts(messages.length)).toEqual(messages);
      expect(await raw.closed()).toEqual(TOPIC_FINISHED);
    }
    for (const url of [sub, `${sub}-that-never-was?since=earliest`]) {
      expect((await refused(url)).status).toBe(404);
    }
    const explained = await open(`${sub}?explain=1`, [STREAM]);
    await explained.next();
    expect(await explained.closed()).toMatchObject({ code: 4404 });
  });

  test("10.14 10.11 is refused in a shared domain, and the socket goes on", async () => {
    const { pub } = topicUrls(hub.url, await freshDomain({ publishers: "shared" }));
    const publisher = await StreamPublisher.open(pub);
    publisher.sendFinish(["a"]);
    expect((await publisher.error()).problem).toMatchObject({
      type: "urn:wspubsub:problem:topic-shared",
      status: 409,
    });
    await publisher.publish(["b"]);
  });
});

describe.runIf(isLocal)("a hub that dies", () => {
  const hubs: HubProcess[] = [];
  afterEach(async () => {
    for (const own of hubs.splice(0)) await own.stop();
  });

  async function ownHub(options: { port?: number; state?: string } = {}): Promise<HubProcess> {
    const own = await startBareHub({ ...options, env: { DATABASE_URL: databaseUrl() } });
    hubs.push(own);
    return own;
  }

  async function ownTopic(policy: typeof KEPT | null): Promise<TopicUrls & { own: HubProcess }> {
    const own = await ownHub();
    return { own, ...topicUrls(own.url.replace(/^http/, "ws"), await freshDomain(policy)) };
  }

  async function killAndRestart(own: HubProcess): Promise<HubProcess> {
    await own.kill();
    return ownHub({ port: own.port, state: own.state });
  }

  test.each(LOGS)(
    "10.14 9.11 what was finished is over, whenever the hub died, and nothing of it came twice: %s",
    async (_, policy) => {
      const { own: first, pub, sub } = await ownTopic(policy);
      let own = first;
      const unanswered: Unanswered = new Map();
      for (let n = 1; n <= 500; n++) unanswered.set(`id-${n}`, [`message ${n}`]);
      unanswered.set("end", ["the last"]);
      const all = [...unanswered.values()].flat();
      // Killed with answers on their way, and once more when all was answered, as if none had arrived.
      const isTold = sayAll(pub, unanswered);
      own = await killAndRestart(own);
      await isTold;
      while (!(await sayAll(`${pub}?takeover=1`, unanswered))) continue;
      own = await killAndRestart(own);
      expect(await sayAll(pub, new Map([["end", ["the last"]]]))).toBe(true);
      expect((await refused(sub)).status).toBe(404);
      const kept = policy === null ? [] : all;
      expect(await readKept(sub)).toEqual(kept);
    },
  );

  test("9.11 a reader that is cut off comes back by its cursor, and is told how it ended", async () => {
    const { own, pub, sub } = await ownTopic(KEPT);
    const publisher = await StreamPublisher.open(pub);
    const all = Array.from({ length: 60 }, (_, n) => String(n).padEnd(50_000, "x"));
    for (const text of all) publisher.send([text]);
    for (const _ of all) await publisher.ack();
    publisher.sendFinish();
    await publisher.ack();
    const reader = await StreamSubscriber.open(`${sub}?since=earliest`);
    const messages = await reader.messages(3);
    await killAndRestart(own);
    messages.push(...(await reader.rest()));
    const back = await readLate(`${sub}?since=${reader.cursor}`);
    expect([...messages, ...back.messages]).toEqual(all);
    expect(back.reason).toBe("finished");
  });
});
