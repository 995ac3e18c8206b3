/**
 * PROTOCOL.md, 6.4, 11.4, 11.5 and 14.2 to 14.6, on the object itself: what strangers and publishers may
 * send, and what becomes of those who send more.
 */
import { runInDurableObject } from "cloudflare:test";
import { describe, expect, test } from "vitest";
import { parseCursor } from "../../../src/core/cursor.ts";
import type { Policy } from "../../../src/core/policy.ts";
import type { Topic } from "../../../src/topic/topic.ts";
import { atRest } from "../../support-in-workerd/at-rest.ts";
import { expectReached } from "../../support-in-workerd/expect-reached.ts";
import { Clock } from "../../support-in-workerd/clock.ts";
import { keyGrant } from "../support/grants.ts";
import {
  hubSockets,
  open,
  publisher,
  subscriber,
  type Client,
  type Received,
} from "../support/sockets.ts";
import { evict, freshDomain, freshTopic, wake } from "../support/topics.ts";

const TOO_MANY = { code: 4429, reason: "too-many-requests" };
const TOO_MANY_FRAME = { problem: { type: "urn:wspubsub:problem:too-many-requests" } };

function frameOf(received: Received): Record<string, unknown> {
  if (typeof received !== "string") throw new Error(`Not a frame: ${JSON.stringify(received)}`);
  return JSON.parse(received);
}

function publishOf(id: string, ...messages: unknown[]): string {
  return JSON.stringify({ type: "publish", id, messages });
}

/** Publishes and waits for the answer. */
async function publish(source: Client, id: string, ...messages: unknown[]) {
  source.send(publishOf(id, ...messages));
  return frameOf(await source.next());
}

async function openStream(topic: DurableObjectStub<Topic>): Promise<Client> {
  const stream = await open(topic, subscriber(null, { protocol: "stream" }));
  expect(frameOf(await stream.next())).toMatchObject({ type: "open" });
  return stream;
}

/** A list of so many characters that takes as long as possible to parse. */
function hostileList(units: number): string {
  return `[${"{},".repeat(units / 3)}{}]`;
}

/** What comes before the close, and the close. */
async function untilClosed(client: Client): Promise<[Received[], Received]> {
  const before: Received[] = [];
  for (;;) {
    const item = await client.next();
    if (typeof item === "object" && "code" in item) return [before, item];
    before.push(item);
  }
}

describe.each([
  { name: "awake", settle: wake },
  { name: "evicted before", settle: evict },
])("subscribers, $name", ({ settle }) => {
  test("11.5 a frame of more than 256 characters is not parsed, and closes a stream", async () => {
    const topic = freshTopic();
    const source = await open(topic, publisher({}, { protocol: "stream" }));
    const stream = await openStream(topic);
    const { cursor } = await publish(source, "1", "a");
    expect(frameOf(await stream.next())).toMatchObject({ type: "messages" });
    await settle(topic);
    // A valid one, but for its length.
    stream.send(`{"type":"ack","cursor":"${String(cursor)}","x":${hostileList(300)}}`);
    expect(frameOf(await stream.next())).toMatchObject({
      type: "error",
      id: null,
      problem: {
        type: "urn:wspubsub:problem:invalid-frame",
        detail: "Expected at most 256 characters",
      },
    });
    expect(await stream.next()).toEqual({ code: 4500, reason: "invalid-frame" });
  });

  test("6.4 11.4 keepalives of a raw subscriber are ignored, 120 a minute", async () => {
    using clock = new Clock();
    const topic = freshTopic();
    const source = await open(topic, publisher());
    const raw = await open(topic, subscriber());
    await settle(topic);
    for (let minute = 0; minute < 3; minute++) {
      for (let n = 0; n < 120; n++) raw.send(n % 2 === 0 ? "keepalive" : new ArrayBuffer(9));
      source.send(`minute ${minute}`);
      expect(await raw.next()).toBe(`minute ${minute}`);
      await clock.advance(60_000, topic);
    }
    for (let n = 0; n < 121; n++) raw.send("too much");
    expect(await raw.next()).toEqual(TOO_MANY);
    const late = await open(topic, subscriber());
    source.send("goes on");
    expect(await late.next()).toBe("goes on");
  });

  test("11.4 a raw subscriber's large frames count as several", async () => {
    const topic = freshTopic();
    await open(topic, publisher());
    const raw = await open(topic, subscriber());
    await settle(topic);
    for (let n = 0; n < 5; n++) raw.send(new ArrayBuffer(1024 * 1024));
    expect(await raw.next()).toEqual(TOO_MANY);
  });

  test("11.4 a stream subscriber is told, and closed at the 121st frame that nothing earned", async () => {
    using clock = new Clock();
    const topic = freshTopic();
    const source = await open(topic, publisher({}, { protocol: "stream" }));
    const stream = await openStream(topic);
    const { cursor } = await publish(source, "1", "a");
    expect(frameOf(await stream.next())).toMatchObject({ type: "messages" });
    await settle(topic);
    const ack = JSON.stringify({ type: "ack", cursor });
    for (let n = 0; n < 120; n++) stream.send(ack);
    await clock.advance(60_000, topic);
    for (let n = 0; n < 120; n++) stream.send(ack);
    await publish(source, "2", "b");
    expect(frameOf(await stream.next())).toMatchObject({ type: "messages", messages: ["b"] });
    await expectReached("frames-beyond-allowance", async () => {
      stream.send(ack);
      expect(frameOf(await stream.next())).toMatchObject({ id: null, ...TOO_MANY_FRAME });
    });
    expect(await stream.next()).toEqual(TOO_MANY);
  });

  test("11.4 what was sent to a stream subscriber earns acks, in the past and in the present", async () => {
    using _ = new Clock();
    const topic = freshTopic();
    const policy = { historyMessages: 100 };
    const source = await open(topic, publisher(policy, { protocol: "stream" }));
    const text = "x".repeat(33_000);
    await publish(source, "past", text, text, text);
    const stream = await open(topic, subscriber(null, { protocol: "stream", since: "earliest" }));
    expect(frameOf(await stream.next())).toMatchObject({ type: "open" });
    const { cursor = "" } = frameOf(await stream.next());
    expect(parseCursor(String(cursor))?.offset).toBe(3);
    await publish(source, "present", text, text);
    await stream.next();
    const ack = JSON.stringify({ type: "ack", cursor });
    for (let n = 0; n < 5 + 120; n++) stream.send(ack);
    await publish(source, "heard", "a");
    expect(frameOf(await stream.next())).toMatchObject({ type: "messages", messages: ["a"] });
    stream.send(ack);
    expect((await untilClosed(stream))[1]).toEqual(TOO_MANY);
  });

  test("11.4 what was sent counts in bytes: an ack for each 32 KiB of UTF-8 lives", async () => {
    using _ = new Clock();
    const topic = freshTopic();
    const source = await open(topic, publisher({}, { protocol: "stream" }));
    const stream = await openStream(topic);
    // Three bytes each, 96 KiB in all.
    const text = "€".repeat(32 * 1024);
    for (let n = 0; n < 70; n++) {
      await publish(source, `${n}`, text);
      const { cursor } = frameOf(await stream.next());
      for (let acks = 0; acks < 3; acks++) stream.send(JSON.stringify({ type: "ack", cursor }));
    }
    await publish(source, "heard", "a");
    expect(frameOf(await stream.next())).toMatchObject({ type: "messages", messages: ["a"] });
  });

  test.each([
    ["a".repeat(64 * 1024), 60],
    // A third of the characters, and as many bytes.
    ["€".repeat(64 * 1024).slice(0, (64 * 1024) / 3), 60],
    ["€".repeat(32 * 1024), 40],
  ])("11.4 a raw subscriber's text counts in bytes, case %#", async (text, count) => {
    using _ = new Clock();
    const topic = freshTopic();
    const source = await open(topic, publisher());
    const raw = await open(topic, subscriber());
    await settle(topic);
    for (let n = 0; n < count; n++) raw.send(text);
    await atRest();
    source.send("heard");
    expect(await raw.next()).toBe("heard");
    raw.send(text);
    expect(await raw.next()).toEqual(TOO_MANY);
  });
});

describe("frames of stream publishers", () => {
  test("14.4 over the rate a frame is refused unread, by the id in its first 256 characters", async () => {
    using clock = new Clock();
    const topic = freshTopic();
    const policy = { messagesPerSecond: 5 };
    const source = await open(topic, publisher(policy, { protocol: "stream" }));
    await publish(source, "1", "1", "2", "3", "4", "5");
    // Not JSON, and no publish: nobody looked.
    for (const [frame, id] of [
      [publishOf("2", "6"), "2"],
      ['{"type":"publish","id":"3","messages":[', "3"],
      ['{"type":"subscribe","id":"4"}', "4"],
      [`{"messages":["${"x".repeat(300)}"],"type":"publish","id":"5"}`, null],
      [`{"id":"6","type":"publish","messages":["a"],"x":[${"0,".repeat(1_000_000)}0]}`, "6"],
    ] as const) {
      source.send(frame);
      expect(frameOf(await source.next())).toMatchObject({
        type: "error",
        id,
        problem: { status: 429, retryAfter: 1 },
      });
    }
    await clock.advance(1000, topic);
    expect(await publish(source, "2", "6")).toMatchObject({ type: "ack", id: "2" });
  });

  test("14.4 a frame that was not read counts by its messages, and by its length", async () => {
    using clock = new Clock();
    const topic = freshTopic();
    const policy = { messagesPerSecond: 5 };
    for (const [frame, times] of [
      [publishOf("2", ...Array.from({ length: 400 }, String)), 3],
      [publishOf("2", "x".repeat(16 * 1024 * 1024)), 2],
      [publishOf("2", "x"), 1001],
    ] as const) {
      const source = await open(topic, publisher(policy, { protocol: "stream", takeover: true }));
      await clock.advance(2000, topic);
      await publish(source, "1", "1", "2", "3", "4", "5");
      for (let n = 0; n < times; n++) source.send(frame);
      const [before, close] = await untilClosed(source);
      expect(close).toEqual(TOO_MANY);
      expect(before).toHaveLength(times);
      for (const answer of before) expect(frameOf(answer)).toMatchObject({ id: "2" });
    }
  });

  test("14.2 who is somewhat over the rate is not closed for it", async () => {
    using clock = new Clock();
    const topic = freshTopic();
    const policy = { messagesPerSecond: 100 };
    const source = await open(topic, publisher(policy, { protocol: "stream" }));
    const answers = { ack: 0, error: 0 };
    const messages = Array.from({ length: 25 }, String);
    // 125 a second, for a minute: 1,500 in vain.
    for (let n = 0; n < 300; n++) {
      const { type } = await publish(source, String(n), ...messages);
      answers[type === "ack" ? "ack" : "error"] += 1;
      clock.set(clock.nowMs + 200);
    }
    expect(answers.error).toBeGreaterThan(50);
    expect(answers.ack).toBeGreaterThan(230);
  });

  test("14.5 a frame of more than the policy could allow is refused unread, and the socket stays", async () => {
    const topic = freshTopic();
    const source = await open(topic, publisher({ maxMessageBytes: 10 }, { protocol: "stream" }));
    source.send(`{"type":"publish","id":"1","messages":["a"],"x":"${"x".repeat(300_000)}"}`);
    expect(frameOf(await source.next())).toMatchObject({
      type: "error",
      id: "1",
      problem: { type: "urn:wspubsub:problem:message-too-large", status: 413 },
    });
    expect(await publish(source, "1", "a")).toMatchObject({ type: "ack", id: "1" });
  });

  test("14.5 what is made to be slow is refused unread, after the acks of what went before", async () => {
    const topic = freshTopic();
    const source = await open(topic, publisher({}, { protocol: "stream" }));
    source.send(publishOf("1", "a"));
    source.send(`{"type":"publish","id":"2","messages":["a"],"x":${hostileList(3_000_000)}}`);
    expect(frameOf(await source.next())).toMatchObject({ type: "ack", id: "1" });
    expect(frameOf(await source.next())).toMatchObject({
      type: "error",
      id: "2",
      problem: { type: "urn:wspubsub:problem:invalid-frame" },
    });
    expect(await source.next()).toEqual({ code: 4500, reason: "invalid-frame" });
  });

  test("10.10 what has gathered is acknowledged before a frame that is none closes its publisher", async () => {
    const topic = freshTopic();
    const source = await open(topic, publisher({}, { protocol: "stream" }));
    await runInDurableObject(topic, (instance, ctx) => {
      const [socket] = hubSockets(ctx, "publisher");
      if (socket === undefined) throw new Error("There is no publisher");
      // The first goes at once, the second lingers.
      for (const frame of [publishOf("1", "a"), publishOf("2", "b"), "{"]) {
        instance.webSocketMessage(socket, frame);
      }
    });
    const [answers, close] = await untilClosed(source);
    expect(answers.map(frameOf)).toMatchObject([
      { type: "ack", id: "1" },
      { type: "ack", id: "2" },
      { type: "error", id: null },
    ]);
    expect(close).toEqual({ code: 4500, reason: "invalid-frame" });
  });
});

/** Sends five messages by each; returns what the answers were. */
async function sendFive(sources: readonly Client[]): Promise<unknown[]> {
  const types: unknown[] = [];
  for (const source of sources) {
    for (let n = 0; n < 5; n++) types.push((await publish(source, `${n}`, "x"))["type"]);
  }
  return types;
}

/** Sends in vain until the hub closes the socket. */
async function closeForRate(source: Client): Promise<void> {
  const many = Array.from({ length: 1000 }, String);
  for (let n = 0; n < 2; n++) source.send(publishOf("in-vain", ...many));
  expect((await untilClosed(source))[1]).toEqual(TOO_MANY);
  source.close();
}

/** Looks at what an object has in memory; tells of the next look whether that is gone. */
async function memoryOf(
  topic: DurableObjectStub<Topic>,
): Promise<(topic: DurableObjectStub<Topic>) => Promise<boolean>> {
  const seen = new WeakSet();
  await runInDurableObject(topic, (instance) => void seen.add(instance));
  return (now) => runInDurableObject(now, (instance) => !seen.has(instance));
}

/** Comes back and sends what it can, so many times; returns how many messages passed. */
async function reconnect(
  topic: DurableObjectStub<Topic>,
  times: number,
  policy: Partial<Policy>,
  options: { readonly takeover?: boolean; readonly keyOf?: (n: number) => number } = {},
): Promise<number> {
  let passed = 0;
  for (let n = 0; n < times; n++) {
    const grant = keyGrant({ keyId: options.keyOf?.(n) ?? 1 });
    const takeover = options.takeover ?? false;
    const source = await open(topic, publisher(policy, { protocol: "stream", grant, takeover }));
    for (let sent = 0; sent < 6; sent++) {
      const { type } = await publish(source, crypto.randomUUID(), "x");
      if (type === "ack") passed += 1;
    }
    if (takeover) continue;
    source.close(1000);
    await source.next();
  }
  return passed;
}

describe("14.6 a rate outlives its socket", () => {
  const RATE: Partial<Policy> = { messagesPerSecond: 5 };

  test.each([
    { name: "exclusive", policy: RATE },
    { name: "exclusive without grace", policy: { ...RATE, graceSeconds: 0 } },
    { name: "shared", policy: { ...RATE, publishers: "shared" } },
  ] as const)("reconnecting makes no more of it, $name", async ({ policy }) => {
    using clock = new Clock();
    const topic = freshDomain().topic();
    expect(await reconnect(topic, 4, policy)).toBe(5);
    clock.set(clock.nowMs + 1000);
    expect(await reconnect(topic, 4, policy)).toBe(5);
  });

  test("neither does displacing oneself", async () => {
    using _ = new Clock();
    const topic = freshDomain().topic();
    expect(await reconnect(topic, 4, RATE, { takeover: true })).toBe(5);
  });

  test.each(["exclusive", "shared"] as const)(
    "neither does being closed for it, though nobody is left, %s",
    async (publishers) => {
      using clock = new Clock();
      const { topic: topicOf } = freshDomain();
      const policy = { ...RATE, publishers, graceSeconds: 0 };
      const admission = publisher(policy, { protocol: "stream", grant: keyGrant() });
      let passed = 0;
      for (let n = 0; n < 4; n++) {
        const source = await open(topicOf(), admission);
        for (let sent = 0; sent < 6; sent++) {
          const { type } = await publish(source, crypto.randomUUID(), "x");
          if (type === "ack") passed += 1;
        }
        await closeForRate(source);
        // Long enough for an object that has nothing to remember to leave memory.
        await clock.advance(0, topicOf());
      }
      expect(passed).toBe(5);
    },
  );

  test("another key has its own", async () => {
    using _ = new Clock();
    const topic = freshDomain().topic();
    expect(await reconnect(topic, 4, RATE, { keyOf: (n) => n % 2 })).toBe(10);
  });

  test("sockets that are there at the same time have one each, and leave one each", async () => {
    using clock = new Clock();
    const topic = freshDomain().topic();
    const policy = { ...RATE, publishers: "shared" } as const;
    const admission = publisher(policy, { protocol: "stream", grant: keyGrant() });
    const openTwo = async () => [await open(topic, admission), await open(topic, admission)];
    const first = await openTwo();
    expect(await sendFive(first)).toEqual(Array(10).fill("ack"));
    for (const source of first) {
      source.close(1000);
      await source.next();
    }
    const heirs = await openTwo();
    expect(await sendFive(heirs)).toEqual(Array(10).fill("error"));
    clock.set(clock.nowMs + 1000);
    expect(await sendFive(heirs)).toEqual(Array(10).fill("ack"));
  });

  test("an object on which nobody is left stays until it may forget, and no longer", async () => {
    const policy = { ...RATE, graceSeconds: 0 };
    const admission = publisher(policy, { protocol: "stream", grant: keyGrant() });
    const { topic: topicOf } = freshDomain();
    const source = await open(topicOf(), admission);
    await publish(source, "1", "1", "2", "3", "4", "5");
    await closeForRate(source);
    const isGone = await memoryOf(topicOf());
    await expect.poll(() => isGone(topicOf()), { timeout: 10_000 }).toBe(true);
  });

  test("an object on which nobody is left does not go before", async () => {
    using clock = new Clock();
    const policy = { ...RATE, graceSeconds: 0 };
    const admission = publisher(policy, { protocol: "stream", grant: keyGrant() });
    const { topic: topicOf } = freshDomain();
    const source = await open(topicOf(), admission);
    await publish(source, "1", "1", "2", "3", "4", "5");
    // A hundredth of a second is missing, and will be.
    clock.set(clock.nowMs + 990);
    await closeForRate(source);
    const isGone = await memoryOf(topicOf());
    for (let n = 0; n < 50; n++) {
      await clock.advance(0, topicOf());
      expect(await isGone(topicOf())).toBe(false);
    }
  });

  test.each([
    { name: "awake", settle: wake },
    { name: "evicted", settle: evict },
  ])("sleep pays no debt, $name", async ({ settle }) => {
    using clock = new Clock();
    const topic = freshDomain().topic();
    const admission = publisher(RATE, { protocol: "stream", grant: keyGrant() });
    const source = await open(topic, admission);
    const many = Array.from({ length: 105 }, String);
    expect(await publish(source, "1", ...many)).toMatchObject({ type: "ack" });
    await clock.advance(12_000, topic);
    await settle(topic);
    expect(await publish(source, "2", "x")).toMatchObject({ problem: { retryAfter: 9 } });
    await settle(topic);
    expect(await publish(source, "2", "x")).toMatchObject({ problem: { retryAfter: 9 } });
    await clock.advance(9000, topic);
    await settle(topic);
    expect(await publish(source, "2", "x")).toMatchObject({ type: "ack" });
  });

  test("an heir takes the debt through sleep, too", async () => {
    using _ = new Clock();
    const topic = freshDomain().topic();
    const admission = publisher(RATE, { protocol: "stream", grant: keyGrant(), takeover: true });
    const many = Array.from({ length: 105 }, String);
    expect(await publish(await open(topic, admission), "1", ...many)).toMatchObject({
      type: "ack",
    });
    const heir = await open(topic, admission);
    await evict(topic);
    expect(await publish(heir, "2", "x")).toMatchObject({ problem: { retryAfter: 21 } });
  });
});
