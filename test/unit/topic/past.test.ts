/**
 * PROTOCOL.md, 9.11, on the object itself: a topic that is over, and whose log is kept, can be read. Who is in the
 * middle of it gets it all, whatever begins meanwhile.
 */
import { runInDurableObject } from "cloudflare:test";
import { describe, expect, test, vi } from "vitest";
import { formatFinish } from "../../../src/core/client-frame.ts";
import type { EndReason } from "../../../src/core/end-reason.ts";
import type { HubFrame } from "../../../src/core/hub-frame.ts";
import type { Policy } from "../../../src/core/policy.ts";
import type { Topic } from "../../../src/topic/topic.ts";
import { Clock } from "../../support-in-workerd/clock.ts";
import { expectReached } from "../../support-in-workerd/expect-reached.ts";
import { freshStub } from "../../support-in-workerd/fresh-stub.ts";
import { keyGrant, tokenGrant } from "../support/grants.ts";
import { later } from "../support/later.ts";
import {
  answerOf,
  ask,
  hubSockets,
  open,
  publisher,
  subscriber,
  type Client,
} from "../support/sockets.ts";
import { nextFrame } from "../support/next-frame.ts";
import { NOTHING, storedIn } from "../support/stored.ts";
import { crash, evict, freshDomain, freshTopic, wake } from "../support/topics.ts";
import { useWaitingBytes } from "../support/waiting-bytes.ts";

const TOPIC_FINISHED = { code: 1000, reason: "topic-finished" };
const TOPIC_ENDED = { code: 1000, reason: "topic-ended" };
const SERVICE_RESTART = { code: 1012, reason: "service-restart" };
const KEPT: Partial<Policy> = { graceSeconds: 0, historySeconds: 3600 };
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

type Stub = DurableObjectStub<Topic>;
type ReaderOptions = Parameters<typeof subscriber>[1];

/** More than a replay lets wait, and less than closes anybody, where a test says so. */
const waiting = useWaitingBytes();

/** Objects that were in memory when their topic ended. */
const seen: WeakSet<Topic> = new WeakSet();

/** Waits until an object that was seen has left memory, as it does when the topic is over and the last socket gone. */
async function untilReset(topic: Stub): Promise<void> {
  await vi.waitFor(() =>
    runInDurableObject(freshStub(topic), (instance: Topic) => {
      if (seen.has(instance)) throw new Error("It is in memory");
    }),
  );
}

/** A life in which some messages were published, and that ended; nobody is here any more. */
async function live(
  topic: Stub,
  messages: readonly string[],
  reason: EndReason = "finished",
  policy: Partial<Policy> = KEPT,
): Promise<void> {
  const source = await open(freshStub(topic), publisher(policy, { protocol: "stream" }));
  await runInDurableObject(freshStub(topic), (instance: Topic) => void seen.add(instance));
  for (const text of messages) {
    source.send(JSON.stringify({ type: "publish", id: crypto.randomUUID(), messages: [text] }));
    await ackOf(source);
  }
  if (reason === "finished") {
    source.send(formatFinish({ id: crypto.randomUUID(), messages: [] }));
    await ackOf(source);
    await source.next();
    await untilReset(topic);
  } else {
    source.close(1000);
    await source.next();
  }
}

function alarmOf(topic: Stub): Promise<number | null> {
  return runInDurableObject(freshStub(topic), (_, { storage }) => storage.getAlarm());
}

/** The cursor of the ack that must come next. */
async function ackOf(source: Client): Promise<string> {
  const frame = await nextFrame(source);
  if (frame.type !== "ack") throw new Error(`Not an ack: ${frame.type}`);
  return frame.cursor;
}

function admission(
  since: string | null,
  policy: Partial<Policy> = KEPT,
  options: ReaderOptions = {},
) {
  return subscriber(policy, { protocol: "stream", since, ...options });
}

function openReader(topic: Stub, since: string, options: ReaderOptions = {}): Promise<Client> {
  return open(freshStub(topic), admission(since, KEPT, options));
}

/** All that a reader gets: messages, and the frames before and behind them. */
async function readAll(
  client: Client,
): Promise<{ first: HubFrame; messages: unknown[]; last: HubFrame; cursor: string }> {
  const first = await nextFrame(client);
  const messages: unknown[] = [];
  let cursor = "cursor" in first ? first.cursor : "";
  for (;;) {
    const frame = await nextFrame(client);
    if (frame.type !== "messages") return { first, messages, last: frame, cursor };
    messages.push(...frame.messages);
    cursor = frame.cursor;
  }
}

/** The same, and how it is closed; the object is out of memory then. */
async function readToClose(
  topic: Stub,
  since: string,
): Promise<Awaited<ReturnType<typeof readAll>> & { close: unknown }> {
  const reader = await openReader(topic, since);
  await runInDurableObject(freshStub(topic), (instance: Topic) => void seen.add(instance));
  const read = await readAll(reader);
  const close = await reader.next();
  await untilReset(topic);
  return { ...read, close };
}

describe("what is kept of a topic that is over", () => {
  test.each([
    ["over", KEPT, HOUR_MS, ["finished"]],
    ["shared", { publishers: "shared", historyMessages: 100 }, DAY_MS, []],
  ] as const)(
    "9.8 has an alarm while it is read for longer, should memory be lost: of one that is %s",
    async (_, policy, keptMs, keys) => {
      using clock = new Clock();
      const topic = freshTopic();
      const reason = keys.length > 0 ? "finished" : "abandoned";
      const letters = ["a", "b", "c", "d", "e", "f"].map((letter) => letter.repeat(30_000));
      await live(topic, letters, reason, policy);
      waiting.each = 600_000;
      const reader = await open(freshStub(topic), admission("earliest", policy));
      expect(await nextFrame(reader)).toMatchObject({ type: "open" });
      await clock.advance(keptMs, topic);
      expect((await storedIn(topic)).tables).not.toEqual([]);
      // Nothing else would wake it then.
      const alarmMs = await alarmOf(topic);
      expect(alarmMs).toBeGreaterThan(clock.nowMs);
      expect(alarmMs).toBeLessThanOrEqual(clock.nowMs + 120_000);
      waiting.each = 0;
      reader.close(1000);
      await clock.advance(120_000, topic);
      await vi.waitFor(async () => expect(await storedIn(topic)).toEqual({ ...NOTHING, keys }));
    },
  );

  test.each([
    ["finished", TOPIC_FINISHED],
    ["abandoned", TOPIC_ENDED],
  ] as const)("9.11 is given, then its end and how: %s", async (reason, close) => {
    const topic = freshTopic();
    await live(topic, ["a", "b", "c"], reason);
    for (const [since, messages] of [
      ["earliest", ["a", "b", "c"]],
      ["-2", ["b", "c"]],
      ["5m", ["a", "b", "c"]],
    ] as const) {
      expect(await readToClose(topic, since)).toMatchObject({
        first: { type: "open", recovered: true },
        messages,
        last: { type: "end", reason },
        close,
      });
    }
    const raw = await open(freshStub(topic), subscriber(KEPT, { since: "-2" }));
    expect(await raw.take(3)).toEqual(["b", "c", close]);
  });

  test("9.11 who has all of it is told of the end", async () => {
    const topic = freshTopic();
    await live(topic, ["a"]);
    const { cursor } = await readToClose(topic, "earliest");
    expect(await readToClose(topic, cursor)).toMatchObject({
      first: { type: "open", cursor, recovered: true },
      messages: [],
      last: { type: "end", reason: "finished" },
      close: TOPIC_FINISHED,
    });
  });

  test("9.6 9.7 9.11 a gap is told, or closes", async () => {
    const topic = freshTopic();
    await live(topic, ["a"]);
    const elsewhere = "k3x9q0v7h2ma-43";
    const reader = await openReader(topic, elsewhere);
    expect(await nextFrame(reader)).toMatchObject({ type: "open", recovered: false });
    expect(await readAll(reader)).toMatchObject({
      first: { type: "gap" },
      messages: ["a"],
      last: { type: "end" },
    });
    const strict = await openReader(topic, elsewhere, { gap: "close" });
    expect(await nextFrame(strict)).toMatchObject({ type: "open" });
    expect(await nextFrame(strict)).toMatchObject({ type: "gap" });
    expect(await strict.next()).toMatchObject({ code: 4510 });
  });

  test("9.11 what was finished stays finished until something is published", async () => {
    const topic = freshTopic();
    const endOf = async (): Promise<HubFrame> => (await readToClose(topic, "earliest")).last;
    await live(topic, ["a"]);
    await live(topic, [], "abandoned");
    expect(await endOf()).toEqual({ type: "end", reason: "finished" });
    await live(topic, ["b"], "abandoned");
    expect(await endOf()).toEqual({ type: "end", reason: "abandoned" });
    await live(topic, [], "finished");
    expect(await endOf()).toEqual({ type: "end", reason: "finished" });
  });

  test("9.11 what a crash ends has no reason of the life before", async () => {
    using clock = new Clock();
    const topic = freshTopic();
    await live(topic, ["a"]);
    const source = await open(freshStub(topic), publisher(KEPT, { protocol: "stream" }));
    source.send(JSON.stringify({ type: "publish", id: "1", messages: ["b"] }));
    await nextFrame(source);
    await crash(freshStub(topic));
    await wake(freshStub(topic));
    await clock.advance(1000, freshStub(topic));
    const reader = await openReader(topic, "earliest");
    expect(await readAll(reader)).toMatchObject({
      messages: ["a", "b"],
      last: { type: "end", reason: "abandoned" },
    });
  });
});

describe("a topic that is over and kept", () => {
  test("9.11 is 404 without `since`, and needs its policy", async () => {
    const topic = freshTopic();
    await live(topic, ["a"]);
    expect(await answerOf(ask(freshStub(topic), admission(null)))).toBe("topic-not-live");
    const unasked = subscriber(null, { protocol: "stream", since: "earliest" });
    expect(await answerOf(ask(freshStub(topic), unasked))).toBe("needs policy");
  });

  test.each([
    ["nothing was published", [], KEPT],
    ["its log is not kept", ["a"], { graceSeconds: 0 }],
    ["its log is kept no longer than it", ["a"], { graceSeconds: 0, historyMessages: 10 }],
  ] as const)("9.11 is 404 where %s", async (_, messages, policy) => {
    const topic = freshTopic();
    await live(topic, messages, "finished", policy);
    expect(await answerOf(ask(freshStub(topic), admission("earliest", policy)))).toBe(
      "topic-not-live",
    );
  });

  test("9.11 is 404 when its time is over, or what was published in it is too old", async () => {
    using clock = new Clock();
    const topic = freshTopic();
    await live(topic, ["a"]);
    await clock.advance(HOUR_MS - 1);
    expect(await answerOf(ask(freshStub(topic), admission("earliest")))).toBeNull();
    await clock.advance(2);
    expect(await answerOf(ask(freshStub(topic), admission("earliest")))).toBe("topic-not-live");

    const silent = freshTopic();
    const source = await open(silent, publisher(KEPT));
    source.send("a");
    await wake(silent);
    const watcher = await open(silent, subscriber());
    source.send("b");
    await watcher.next();
    await clock.advance(HOUR_MS + 1);
    source.close(1000);
    await source.next();
    expect(await watcher.next()).toEqual(TOPIC_ENDED);
    expect(await answerOf(ask(freshStub(silent), admission("earliest")))).toBe("topic-not-live");
  });

  test("9.11 of a version before, which kept no reason, was abandoned", async () => {
    const topic = freshTopic();
    await live(topic, ["a"]);
    await runInDurableObject(freshStub(topic), (_, { storage }) => {
      const { ended, ...before } = storage.kv.get<Record<string, unknown>>("log") ?? {};
      expect(ended).toBe("finished");
      storage.kv.put("log", before);
    });
    await evict(freshStub(topic));
    const reader = await openReader(topic, "earliest");
    expect(await readAll(reader)).toMatchObject({
      messages: ["a"],
      last: { type: "end", reason: "abandoned" },
    });
  });

  test("9.8 9.11 is what a shared topic left, for a day, where its domain has become exclusive", async () => {
    using clock = new Clock();
    const topic = freshTopic();
    const byNumber: Partial<Policy> = { historyMessages: 10 };
    const policy: Partial<Policy> = { ...byNumber, publishers: "shared" };
    const source = await open(topic, publisher(policy, { protocol: "stream" }));
    source.send(JSON.stringify({ type: "publish", id: "1", messages: ["a"] }));
    await nextFrame(source);
    source.close(1000);
    await source.next();
    await clock.advance(DAY_MS - 1);
    const reader = await open(topic, admission("earliest", byNumber));
    expect(await readAll(reader)).toMatchObject({
      messages: ["a"],
      last: { type: "end", reason: "abandoned" },
    });
    await clock.advance(1);
    expect(await answerOf(ask(freshStub(topic), admission("earliest", byNumber)))).toBe(
      "topic-not-live",
    );
  });

  test("9.11 5.4 is private where its domain is", async () => {
    const topic = freshTopic();
    await live(topic, ["a"]);
    const policy: Partial<Policy> = { ...KEPT, subscribers: "token" };
    expect(await answerOf(ask(freshStub(topic), admission("earliest", policy)))).toBe(
      "token-required",
    );
    const token = tokenGrant(Date.now() + HOUR_MS);
    const reader = await open(freshStub(topic), admission("earliest", policy, { grant: token }));
    expect((await readAll(reader)).messages).toEqual(["a"]);
  });

  test("9.11 leaves nothing behind of who has read it, by key or without", async () => {
    using clock = new Clock();
    const { topic: topicOf } = freshDomain();
    const topic = topicOf("x".repeat(2000));
    await live(topic, ["a"]);
    const before = await storedIn(topic);
    for (const grant of [null, keyGrant()]) {
      const reader = await openReader(topic, "earliest", { grant });
      expect((await readAll(reader)).messages).toEqual(["a"]);
      await reader.next();
    }
    if (before.keys.length === 0) throw new Error("Nothing was stored");
    await clock.advance(DAY_MS, freshStub(topic));
    await vi.waitFor(async () => expect(await storedIn(topic)).toEqual(NOTHING));
  });
});

const MESSAGES = 30;
const UNITS = 30_000;

function message(n: number): string {
  return String(n).padEnd(UNITS, "x");
}

const ALL = Array.from({ length: MESSAGES }, (_, n) => message(n + 1));

/** A reader in the middle of a topic that is over, who gets no more until `waiting.each` is 0. */
async function openSlowReader(
  topic: Stub,
  options: ReaderOptions = {},
): Promise<{ reader: Client; messages: unknown[] }> {
  waiting.each = 600_000;
  const reader = await openReader(topic, "earliest", options);
  expect(await nextFrame(reader)).toMatchObject({ type: "open" });
  const frame = await nextFrame(reader);
  if (frame.type !== "messages") throw new Error(`Not messages: ${frame.type}`);
  return { reader, messages: [...frame.messages] };
}

/** What is still to come, and the end. */
async function readRest(reader: Client, messages: unknown[]): Promise<HubFrame> {
  waiting.each = 0;
  for (;;) {
    const frame = await nextFrame(reader);
    if (frame.type !== "messages") return frame;
    messages.push(...frame.messages);
  }
}

/**
 * A reader of a topic that is over, which has all up to an offset of three, asleep. The runtime lets no object sleep
 * while somebody reads, so it is made of one that listened to a life.
 */
async function sleepingReader(
  offset: number,
  state: { readonly phase: "live" } | null = null,
): Promise<{ topic: Stub; reader: Client }> {
  const topic = freshTopic();
  const source = await open(topic, publisher({ historySeconds: 3600 }, { protocol: "stream" }));
  source.send(JSON.stringify({ type: "publish", id: "1", messages: ["a", "b", "c"] }));
  const ack = await nextFrame(source);
  if (ack.type !== "ack") throw new Error("Not acknowledged");
  const reader = await open(topic, subscriber(null, { protocol: "stream" }));
  await nextFrame(reader);
  if (state === null) {
    source.close(1000);
    await source.next();
  }
  await runInDurableObject(topic, (_, ctx) => {
    const [socket] = hubSockets(ctx, "subscriber");
    const { kv } = ctx.storage;
    const behind = offset === 3 ? null : ack.cursor.replace(/3$/, String(offset));
    socket?.serializeAttachment({ ...socket.deserializeAttachment(), readsPast: true, behind });
    const keepUntilMs = Date.now() + HOUR_MS;
    const meta = kv.get<{ position: object }>("log");
    const position = { ...meta?.position, offset: 3 };
    kv.put("log", { ...meta, position, keepUntilMs, ended: "finished" });
    if (state === null) kv.delete("state");
  });
  await evict(topic);
  return { topic, reader };
}

async function liveLarge(topic: Stub, policy: Partial<Policy> = KEPT): Promise<void> {
  await live(topic, ALL, "finished", policy);
  await evict(freshStub(topic));
}

describe("who is in the middle of a topic that is over", () => {
  test.each([
    ["keeps as much", KEPT],
    ["keeps nothing", { graceSeconds: 0 }],
    ["keeps less", { graceSeconds: 0, historyMessages: 1 }],
  ] as const)(
    "9.11 gets the rest and its end, and nothing of a next life that %s",
    async (_, policy) => {
      const topic = freshTopic();
      await liveLarge(topic);
      const { reader, messages } = await openSlowReader(topic);
      expect(await topic.describe()).toMatchObject({ phase: "vacant", subscribers: 0 });
      const next = await open(topic, publisher({ ...policy, maxSubscribers: 1 }));
      const follower = await open(topic, subscriber());
      for (let n = 1; n <= 3; n++) next.send("new");
      expect(await follower.take(3)).toEqual(["new", "new", "new"]);
      expect(await readRest(reader, messages)).toEqual({ type: "end", reason: "finished" });
      expect(messages).toEqual(ALL);
      expect(await reader.next()).toEqual(TOPIC_FINISHED);
      next.send("still there");
      expect(await follower.next()).toBe("still there");
      // Nothing is kept for who has left.
      await vi.waitFor(async () => {
        const { keys, tables } = await storedIn(topic);
        expect(keys).not.toContain("leaving");
        expect(JSON.stringify(tables)).not.toContain("past_log");
      });
    },
  );

  test.each([
    ["from where it was", 1],
    ["with all it asked for", 3],
  ])("9.11 goes on after a sleep, %s, and is told the same end", async (_, offset) => {
    const { topic, reader } = await sleepingReader(offset);
    await wake(topic);
    const rest = offset === 1 ? [{ type: "messages", messages: ["b", "c"] }] : [];
    for (const frame of [...rest, { type: "end", reason: "finished" }]) {
      expect(await nextFrame(reader)).toMatchObject(frame);
    }
    expect(await reader.next()).toEqual(TOPIC_FINISHED);
  });

  test("9.11 is told to come back after a sleep, where what it read is gone", async () => {
    using clock = new Clock();
    const { topic, reader } = await sleepingReader(1);
    await clock.advance(2 * HOUR_MS);
    await wake(topic);
    expect(await reader.next()).toEqual(SERVICE_RESTART);
  });

  test("9.11 is told to come back after a sleep, where the next life has begun", async () => {
    const { topic, reader } = await sleepingReader(1, { phase: "live" });
    await wake(topic);
    expect(await reader.next()).toEqual(SERVICE_RESTART);
    expect(await topic.describe()).toMatchObject({ phase: "live", subscribers: 0 });
  });

  test("9.11 what was kept for it in the next life goes after a crash as well", async () => {
    const topic = freshTopic();
    await liveLarge(topic);
    const { reader, messages } = await openSlowReader(topic);
    await open(topic, publisher({ graceSeconds: 0 }));
    const stored = await storedIn(topic);
    expect(stored.keys).toContain("leaving");
    expect(JSON.stringify(stored.tables)).toContain("past_log");
    await readRest(reader, messages);
    await reader.next();
    await vi.waitFor(async () => expect((await storedIn(topic)).keys).not.toContain("leaving"));
    // As a crash in the middle would leave it.
    await runInDurableObject(topic, (_, { storage }) => {
      storage.kv.put("leaving", 0);
      storage.sql.exec("create table past_log_1 (id integer primary key)");
    });
    await evict(topic);
    await wake(topic);
    const after = await storedIn(topic);
    expect(after.keys).not.toContain("leaving");
    expect(JSON.stringify(after.tables)).not.toContain("past_log");
  });

  test("9.11 14.3 takes one of the places that the domain allows", async () => {
    const topic = freshTopic();
    await liveLarge(topic);
    const { reader, messages } = await openSlowReader(topic);
    const one = admission("earliest", { ...KEPT, maxSubscribers: 1 });
    const two = admission("earliest", { ...KEPT, maxSubscribers: 2 });
    expect(await answerOf(ask(topic, one))).toBe("too-many-subscribers");
    const other = await open(topic, two);
    expect(await answerOf(ask(topic, two))).toBe("too-many-subscribers");
    expect(await readRest(reader, messages)).toMatchObject({ type: "end" });
    expect((await readAll(other)).messages).toEqual(ALL);
  });

  test("9.11 keeps a log no longer for who comes when its time is over", async () => {
    using clock = new Clock({ isRunning: true });
    const topic = freshTopic();
    await liveLarge(topic, { graceSeconds: 0, historySeconds: 20 });
    const { reader, messages } = await openSlowReader(topic);
    await clock.advance(20_000, topic);
    expect(await answerOf(ask(topic, admission("earliest")))).toBe("topic-not-live");
    expect(await readRest(reader, messages)).toEqual({ type: "end", reason: "finished" });
    expect(messages).toEqual(ALL);
    await reader.next();
    await vi.waitFor(async () => expect((await storedIn(topic)).tables).toEqual([]));
  });

  test("9.11 12.7 goes when its key does, and when the next life is private", async () => {
    const { domain, topic: topicOf } = freshDomain();
    const topic = topicOf();
    await liveLarge(topic);
    const { reader } = await openSlowReader(topic, { grant: keyGrant() });
    const stranger = await openReader(topic, "earliest");
    await domain.changeKey(1, { type: "dead" }, later(), false);
    expect(await reader.next()).toMatchObject({ code: 4501, reason: "key-rejected" });
    await open(topic, publisher({ ...KEPT, subscribers: "token" }));
    await nextFrame(stranger);
    await nextFrame(stranger);
    expect(await stranger.next()).toMatchObject({ code: 4501, reason: "token-required" });
  });

  test("9.11 shares the end with others, and each acknowledges its own", async () => {
    const topic = freshTopic();
    await liveLarge(topic);
    const first = await openSlowReader(topic);
    const second = await expectReached("reader-joins-ending", () => openSlowReader(topic));
    second.reader.send("nonsense");
    expect(await nextFrame(second.reader)).toMatchObject({ type: "error" });
    expect(await second.reader.next()).toMatchObject({ code: 4500 });
    expect(await readRest(first.reader, first.messages)).toMatchObject({ type: "end" });
    expect(first.messages).toEqual(ALL);
  });
});
