/**
 * What becomes of a topic's subscribers when it ends, however slowly they read: they get what they are owed and are
 * closed apart from whoever comes next. How many at a time: slices.test.ts.
 */
import { runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { expect, test, vi } from "vitest";
import type { Policy } from "../../../src/core/policy.ts";
import type { Topic } from "../../../src/topic/topic.ts";
import { Clock } from "../../support-in-workerd/clock.ts";
import { keyGrant } from "../support/grants.ts";
import { later } from "../support/later.ts";
import { hubSockets, open, publisher, subscriber, type Client } from "../support/sockets.ts";
import { NOTHING, storedIn } from "../support/stored.ts";
import { evict, freshDomain, freshTopic, wake } from "../support/topics.ts";
import { useWaitingBytes } from "../support/waiting-bytes.ts";

const TOPIC_ENDED = { code: 1000, reason: "topic-ended" };
const SERVICE_RESTART = { code: 1012, reason: "service-restart" };
const SLOW_CONSUMER = { code: 4408, reason: "slow-consumer" };
const TOKEN_REQUIRED = { code: 4501, reason: "token-required" };
const KEY_REJECTED = { code: 4501, reason: "key-rejected" };
const MESSAGES = 30;
const UNITS = 30_000;
const TAIL = "tail";
const AT_ONCE: Partial<Policy> = { graceSeconds: 0 };
const HISTORY: Partial<Policy> = { graceSeconds: 0, historyMessages: 100 };

/** The n-th message, of a size that makes thirty of them more than a replay gives at once. */
function message(n: number, filler = "x"): string {
  return String(n).padEnd(UNITS, filler);
}

/** More than a replay lets wait, and less than closes anybody, where a test says so. */
const waiting = useWaitingBytes();

type Frame = { code: number } | { type: string } | { cursor: string; messages: string[] };

/** A reader, and what it has got of messages. */
class Reader {
  readonly messages: string[] = [];
  readonly #client: Client;

  constructor(client: Client) {
    this.#client = client;
  }

  /** Takes so many messages. */
  async readTo(count: number): Promise<void> {
    while (this.messages.length < count) {
      const frame = await this.next();
      if (!("messages" in frame)) throw new Error(`Not messages: ${JSON.stringify(frame)}`);
      this.messages.push(...frame.messages);
    }
  }

  /** How it is closed, with whatever messages come before. */
  async close(): Promise<Frame> {
    for (;;) {
      const frame = await this.next();
      if (!("messages" in frame)) return frame;
    }
  }

  say(text: string): void {
    this.#client.send(text);
  }

  async next(): Promise<Frame> {
    const received = await this.#client.next();
    if (received instanceof ArrayBuffer) throw new Error("Not a frame");
    return typeof received === "string" ? JSON.parse(received) : received;
  }
}

/** A topic that is full of messages, and a reader in the middle of them, who gets no more until `waiting.each` is 0. */
async function topicWithReader(
  policy: Partial<Policy>,
  topic: DurableObjectStub<Topic> = freshTopic(),
  options: Parameters<typeof subscriber>[1] = {},
  filler = "x",
): Promise<{ topic: DurableObjectStub<Topic>; source: Client; reader: Reader }> {
  const isOnlyReader = waiting.each === 0;
  const source = await open(topic, publisher(policy));
  const watcher = await open(topic, subscriber());
  for (let n = 1; n <= MESSAGES; n++) source.send(message(n, filler));
  await watcher.take(MESSAGES);
  // So small that it is read together with what follows it.
  source.send(TAIL);
  await watcher.take(1);
  watcher.close(1000);
  await watcher.next();
  // From here on a log that is durable is in its rows alone.
  if (policy !== AT_ONCE && isOnlyReader) await evict(topic);
  waiting.each = 600_000;
  const late = subscriber(null, { protocol: "stream", since: "earliest", ...options });
  const reader = new Reader(await open(topic, late));
  await reader.next();
  await reader.readTo(1);
  return { topic, source, reader };
}

async function leave(source: Client): Promise<void> {
  source.close(1000);
  await source.next();
}

test.each([
  { name: "in memory", policy: AT_ONCE },
  { name: "by number", policy: HISTORY },
  { name: "by age", policy: { ...AT_ONCE, historySeconds: 60 } },
])(
  "5.9 a reader in mid-replay gets all there was, and nothing of what begins then: $name",
  async ({ policy }) => {
    const { topic, source, reader } = await topicWithReader(policy);
    await leave(source);
    expect(await topic.describe()).toMatchObject({ phase: "vacant", subscribers: 0 });
    const next = await open(topic, publisher(policy));
    const follower = await open(topic, subscriber());
    for (let n = 1; n <= 3; n++) next.send("new");
    expect(await follower.take(3)).toEqual(["new", "new", "new"]);
    expect(await topic.describe()).toMatchObject({ phase: "live", subscribers: 1 });
    waiting.each = 0;
    await reader.readTo(MESSAGES + 1);
    const large = Array.from({ length: MESSAGES }, (_, n) => message(n + 1));
    expect(reader.messages).toEqual([...large, TAIL]);
    expect(await reader.next()).toEqual({ type: "end", reason: "abandoned" });
    expect(await reader.next()).toEqual(TOPIC_ENDED);
    next.send("still there");
    expect(await follower.next()).toBe("still there");
  },
);

test.each([
  { name: "at once", between: [] },
  { name: "after a change of its bounds", between: [{ ...AT_ONCE, historySeconds: 30 }] },
  { name: "after a life that kept it by number", between: [HISTORY] },
])(
  "5.9 a next life that keeps no history takes nothing from those who are given the last one's: $name",
  async ({ between }) => {
    const { topic, source, reader } = await topicWithReader({ ...AT_ONCE, historySeconds: 60 });
    await leave(source);
    for (const policy of [...between, AT_ONCE]) {
      const next = await open(topic, publisher(policy));
      const follower = await open(topic, subscriber());
      next.send("new");
      expect(await follower.next()).toBe("new");
      await leave(next);
      expect(await follower.next()).toEqual(TOPIC_ENDED);
    }
    waiting.each = 0;
    await reader.readTo(MESSAGES + 1);
    const large = Array.from({ length: MESSAGES }, (_, n) => message(n + 1));
    expect(reader.messages).toEqual([...large, TAIL]);
    expect(await reader.next()).toEqual({ type: "end", reason: "abandoned" });
    await vi.waitFor(async () => expect(await storedIn(topic)).toEqual(NOTHING));
  },
);

test("5.9 what may wait for those who are leaving is what their own life allowed", async () => {
  const { topic, source, reader } = await topicWithReader(HISTORY);
  await leave(source);
  await open(topic, publisher({ ...HISTORY, maxBacklogBytes: 65_536 }));
  // More than half of what the next life allows.
  waiting.each = 100_000;
  await reader.readTo(MESSAGES + 1);
  expect(await reader.next()).toEqual({ type: "end", reason: "abandoned" });
});

test("5.9 two lives may be ending at once, each with its own log", async () => {
  const first = await topicWithReader(HISTORY);
  await leave(first.source);
  const second = await topicWithReader(HISTORY, first.topic, {}, "y");
  second.source.send("last");
  await leave(second.source);
  waiting.each = 0;
  for (const [{ reader }, count] of [
    [first, MESSAGES + 1],
    [second, MESSAGES + 2],
  ] as const) {
    await reader.readTo(count);
    expect(await reader.next()).toEqual({ type: "end", reason: "abandoned" });
    expect(await reader.next()).toEqual(TOPIC_ENDED);
  }
  expect(first.reader.messages[MESSAGES - 1]).toBe(message(MESSAGES));
  expect(second.reader.messages[MESSAGES - 1]).toBe(message(MESSAGES, "y"));
  expect(second.reader.messages.at(-1)).toBe("last");
  await vi.waitFor(async () => expect(await storedIn(first.topic)).toEqual(NOTHING));
});

test("5.9 one that does not read is closed, and what was kept for it goes", async () => {
  using clock = new Clock({ isRunning: true });
  const { topic, source, reader } = await topicWithReader(HISTORY);
  await leave(source);
  expect(await storedIn(topic)).toMatchObject({ tables: [{}] });
  // More than 600,000 bytes take at 16 KiB a second.
  await clock.advance(37_000);
  expect(await reader.close()).toEqual(SLOW_CONSUMER);
  await vi.waitFor(async () => expect(await storedIn(topic)).toEqual(NOTHING));
});

/** A log of three seconds has outlived its time; the reader gets all there is nevertheless, and then nothing is left. */
async function outliveLog(
  topic: DurableObjectStub<Topic>,
  reader: Reader,
  clock: Clock,
): Promise<void> {
  await clock.advance(5000, topic);
  await runDurableObjectAlarm(topic);
  // What is over is not due before they are gone.
  const alarm = await runInDurableObject(topic, (_, { storage }) => storage.getAlarm());
  expect(alarm ?? Infinity).toBeGreaterThan(clock.nowMs);
  waiting.each = 0;
  await reader.readTo(MESSAGES + 1);
  expect(await reader.next()).toEqual({ type: "end", reason: "abandoned" });
  await vi.waitFor(async () => expect(await storedIn(topic)).toEqual(NOTHING));
}

test("5.9 a log that has outlived its time is kept for those who are still given it", async () => {
  using clock = new Clock({ isRunning: true });
  const { topic, source, reader } = await topicWithReader({ ...AT_ONCE, historySeconds: 3 });
  await leave(source);
  await outliveLog(topic, reader, clock);
});

test("5.9 the next life's log that has outlived its time takes nothing from those of the life before", async () => {
  using clock = new Clock({ isRunning: true });
  const { topic, source, reader } = await topicWithReader(HISTORY);
  await leave(source);
  const next = await open(topic, publisher({ ...AT_ONCE, historySeconds: 3 }));
  next.send("new");
  await leave(next);
  await outliveLog(topic, reader, clock);
});

test("5.9 a newcomer can be told apart from who is leaving, though both came at the same time", async () => {
  using clock = new Clock();
  const { topic, source } = await topicWithReader(HISTORY);
  await leave(source);
  await open(topic, publisher(HISTORY));
  await open(topic, subscriber());
  const [lastMs, ...cameMs] = await runInDurableObject(topic, (_, ctx) => {
    const attachments = hubSockets(ctx, "subscriber").map((socket) =>
      socket.deserializeAttachment(),
    );
    return [
      ctx.storage.kv.get("leaving"),
      ...attachments.map(({ connectedAtMs }) => connectedAtMs),
    ];
  });
  expect(lastMs).toBe(clock.nowMs);
  expect(new Set(cameMs)).toEqual(new Set([lastMs, lastMs + 1]));
});

test("5.9 who was leaving as memory was lost is told to come back, and who came since stays", async () => {
  using clock = new Clock();
  const topic = freshTopic();
  const source = await open(topic, publisher(HISTORY));
  const leaving = await open(topic, subscriber());
  const lastMs = clock.nowMs;
  await clock.advance(1);
  const follower = await open(topic, subscriber());
  // What an end leaves while somebody is served; the runtime does not take an object out of memory then.
  await runInDurableObject(topic, (_, { storage }) => {
    storage.kv.put("leaving", lastMs);
    storage.sql.exec("create table past_log_1 (id integer primary key)");
  });
  await evict(topic);
  await wake(topic);
  expect(await leaving.next()).toEqual(SERVICE_RESTART);
  source.send("new");
  expect(await follower.next()).toBe("new");
  expect(await storedIn(topic)).toMatchObject({ tables: [{ name: "log" }] });
  await leave(source);
  expect(await follower.take(1)).toEqual([TOPIC_ENDED]);
  await vi.waitFor(async () => expect(await storedIn(topic)).toEqual(NOTHING));
});

test("16.3 a next life that is private closes those of the life before that presented nothing", async () => {
  const { topic, source, reader } = await topicWithReader(HISTORY);
  await leave(source);
  await open(topic, publisher({ ...HISTORY, subscribers: "token" }));
  expect(await reader.close()).toEqual(TOKEN_REQUIRED);
});

test("12.7 a key that is revoked closes those that are leaving", async () => {
  const { domain, topic: topicOf } = freshDomain();
  const { topic, source, reader } = await topicWithReader(HISTORY, topicOf(), {
    grant: keyGrant(),
  });
  await leave(source);
  await domain.changeKey(1, { type: "dead" }, later(), false);
  expect(await reader.close()).toEqual(KEY_REJECTED);
  await vi.waitFor(async () => expect(await storedIn(topic)).toEqual(NOTHING));
});

test("10.10 what those that are leaving send is heard", async () => {
  const { source, reader } = await topicWithReader(HISTORY);
  await leave(source);
  reader.say("nonsense");
  expect(await reader.close()).toMatchObject({ type: "error" });
  expect(await reader.close()).toEqual({ code: 4500, reason: "invalid-frame" });
});
