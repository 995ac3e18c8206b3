/**
 * PROTOCOL.md, sections 9 to 11, on the object itself: what needs its memory or its storage to be taken
 * away. Every test of the first part runs with history and without, awake and evicted between its steps.
 */
import { expectReached } from "../../support-in-workerd/expect-reached.ts";
import { runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { describe, expect, test } from "vitest";
import { parseCursor } from "../../../src/core/cursor.ts";
import { DEFAULT_POLICY, type Policy } from "../../../src/core/policy.ts";
import type { Topic } from "../../../src/topic/topic.ts";
import {
  open,
  publisher,
  subscriber,
  type Client,
  type Received,
  hubSockets,
} from "../support/sockets.ts";
import { crash, evict, freshTopic, wake } from "../support/topics.ts";

interface Frame {
  readonly type: string;
  readonly cursor?: string;
  readonly recovered?: boolean | null;
  readonly messages?: readonly unknown[];
  readonly from?: string;
  readonly to?: string;
  readonly id?: string | null;
  readonly problem?: {
    readonly type: string;
    readonly detail: string;
    readonly retryAfter?: number;
  };
}

function openStream(
  topic: DurableObjectStub<Topic>,
  since: string | null = null,
  gap: "skip" | "close" = "skip",
): Promise<Client> {
  return open(topic, subscriber(null, { protocol: "stream", since, gap }));
}

function openPublisher(
  topic: DurableObjectStub<Topic>,
  policy: Partial<Policy> = {},
): Promise<Client> {
  return open(topic, publisher(policy, { protocol: "stream" }));
}

function frameOf(received: Received): Frame {
  if (typeof received !== "string") throw new Error(`Not a frame: ${JSON.stringify(received)}`);
  return JSON.parse(received);
}

async function nextFrame(client: Client): Promise<Frame> {
  return frameOf(await client.next());
}

/** The next so many messages, out of however many frames, and the cursor of the last. */
async function takeMessages(
  client: Client,
  count: number,
): Promise<{ messages: unknown[]; cursor: string }> {
  const messages: unknown[] = [];
  let cursor = "";
  while (messages.length < count) {
    const frame = await nextFrame(client);
    expect(frame.type).toBe("messages");
    messages.push(...(frame.messages ?? []));
    cursor = frame.cursor ?? "";
  }
  return { messages, cursor };
}

/** Publishes and waits for the ack. */
async function publish(source: Client, id: string, ...messages: unknown[]): Promise<string> {
  source.send(JSON.stringify({ type: "publish", id, messages }));
  const ack = await nextFrame(source);
  expect(ack).toMatchObject({ type: "ack", id });
  return ack.cursor ?? "";
}

function offsetOf(cursor: string | undefined): number | undefined {
  return parseCursor(cursor ?? "")?.offset;
}

function numbers(first: number, last: number): string[] {
  return Array.from({ length: last - first + 1 }, (_, n) => String(first + n));
}

const HISTORY = { historyMessages: 1000 };

describe.each([
  { name: "without history, awake", policy: {}, settle: wake },
  { name: "without history, evicted between steps", policy: {}, settle: evict },
  { name: "with history, awake", policy: HISTORY, settle: wake },
  { name: "with history, evicted between steps", policy: HISTORY, settle: evict },
])("the stream, $name", ({ policy, settle }) => {
  test("10.2 raw and stream clients see the same messages", async () => {
    const topic = freshTopic();
    const source = await openPublisher(topic, policy);
    const raw = await open(topic, subscriber());
    const stream = await openStream(topic);
    expect(await nextFrame(stream)).toMatchObject({ type: "open", recovered: null });
    await settle(topic);
    await publish(source, "1", "text", "", { base64: "AP+A" });
    const bytes = new Uint8Array([0, 255, 128]).buffer;
    expect(await raw.take(3)).toEqual(["text", "", bytes]);
    expect((await takeMessages(stream, 3)).messages).toEqual(["text", "", { base64: "AP+A" }]);
  });

  test("10.4 cursors count on without holes, through every sleep", async () => {
    const topic = freshTopic();
    const source = await openPublisher(topic, policy);
    const stream = await openStream(topic);
    const { cursor: start = "" } = await nextFrame(stream);
    const { epoch } = parseCursor(start) ?? {};
    for (let n = 1; n <= 5; n++) {
      await publish(source, `${n}`, `${n}`);
      await settle(topic);
      expect((await takeMessages(stream, 1)).cursor).toBe(`${epoch}-${n}`);
    }
  });

  test("9.4 who missed nothing comes back without a gap", async () => {
    const topic = freshTopic();
    const source = await openPublisher(topic, policy);
    const cursor = await publish(source, "1", "a", "b");
    await settle(topic);
    const stream = await openStream(topic, cursor);
    expect(await nextFrame(stream)).toEqual({ type: "open", cursor, recovered: true });
    await settle(topic);
    await publish(source, "2", "c");
    expect((await takeMessages(stream, 1)).messages).toEqual(["c"]);
  });

  test("9.9 a publisher's coming and going changes no epoch", async () => {
    const topic = freshTopic();
    const first = await openPublisher(topic, policy);
    const cursor = await publish(first, "1", "a");
    first.close(1000);
    await first.next();
    await settle(topic);
    const second = await openPublisher(topic, policy);
    await settle(topic);
    const next = await publish(second, "2", "b");
    expect(offsetOf(next)).toBe(2);
    expect(parseCursor(next)?.epoch).toBe(parseCursor(cursor)?.epoch);
  });

  test("10.9 an id is published once, through every sleep and over several sockets", async () => {
    const topic = freshTopic();
    const first = await openPublisher(topic, policy);
    const raw = await open(topic, subscriber());
    const cursor = await publish(first, "a", "once", "twice");
    await settle(topic);
    expect(await publish(first, "a", "once", "twice")).toBe(cursor);
    first.close(1000);
    await first.next();
    await settle(topic);
    const second = await openPublisher(topic, policy);
    await settle(topic);
    expect(await publish(second, "a", "once", "twice")).toBe(cursor);
    await publish(second, "b", "after");
    expect(await raw.take(3)).toEqual(["once", "twice", "after"]);
  });

  test("10.8 acks come in the order of their frames, repeated ones included", async () => {
    const topic = freshTopic();
    const source = await openPublisher(topic, policy);
    await publish(source, "old", "old", "old");
    await settle(topic);
    const ids = ["a", "b", "old", "c", "a", "d"];
    for (const id of ids) {
      source.send(JSON.stringify({ type: "publish", id, messages: [id, id] }));
    }
    const acks = (await source.take(6)).map((received) => frameOf(received));
    expect(acks.map(({ id }) => id)).toEqual(ids);
    expect(acks.map(({ cursor }) => offsetOf(cursor))).toEqual([4, 6, 2, 8, 4, 10]);
  });

  test("10.10 a frame that is none is answered, and its publisher closed", async () => {
    const topic = freshTopic();
    const source = await openPublisher(topic, policy);
    const raw = await open(topic, subscriber());
    await settle(topic);
    source.send('{"type":"publish","id":"7","messages":["good",1]}');
    expect(await nextFrame(source)).toMatchObject({
      type: "error",
      id: "7",
      problem: {
        type: "urn:wspubsub:problem:invalid-frame",
        detail: expect.stringContaining("messages[1]"),
      },
    });
    expect(await source.next()).toEqual({ code: 4500, reason: "invalid-frame" });
    const successor = await openPublisher(topic, policy);
    await publish(successor, "8", "next");
    expect(await raw.next()).toBe("next");
  });

  test("10.11 a message that is too large is refused with its publish, the socket stays", async () => {
    const topic = freshTopic();
    const source = await openPublisher(topic, { ...policy, maxMessageBytes: 4 });
    const raw = await open(topic, subscriber());
    await settle(topic);
    source.send('{"type":"publish","id":"1","messages":["four","five!"]}');
    expect(await nextFrame(source)).toMatchObject({
      type: "error",
      id: "1",
      problem: {
        type: "urn:wspubsub:problem:message-too-large",
        detail: '"messages[1]" has more than 4 bytes',
      },
    });
    await publish(source, "1", "four");
    expect(await raw.next()).toBe("four");
  });

  test("10.6 the end is said before the close", async () => {
    const topic = freshTopic();
    const source = await openPublisher(topic, { ...policy, graceSeconds: 0 });
    const stream = await openStream(topic);
    await nextFrame(stream);
    await settle(topic);
    await publish(source, "1", "last words");
    source.close(1000);
    expect((await takeMessages(stream, 1)).messages).toEqual(["last words"]);
    expect(await nextFrame(stream)).toEqual({ type: "end", reason: "abandoned" });
    expect(await stream.next()).toEqual({ code: 1000, reason: "topic-ended" });
  });

  test("11.3 a subscriber that acknowledges, and then does not, is closed as slow", async () => {
    const topic = freshTopic();
    const source = await openPublisher(topic, { ...policy, maxBacklogBytes: 2000 });
    const [slow, fast] = [await openStream(topic), await openStream(topic)];
    for (const client of [slow, fast]) {
      const { cursor } = await nextFrame(client);
      client.send(JSON.stringify({ type: "ack", cursor }));
    }
    // It was heard: the object has handled what came before this publish.
    await publish(source, "0", "x");
    for (const client of [slow, fast]) await takeMessages(client, 1);
    for (let n = 1; n <= 10; n++) {
      await publish(source, `${n}`, "x".repeat(500));
      const { cursor } = await takeMessages(fast, 1);
      fast.send(JSON.stringify({ type: "ack", cursor }));
    }
    const seen = await slow.take(5);
    expect(seen.slice(0, 4).map((item) => frameOf(item).messages)).toEqual(
      Array.from({ length: 4 }, () => ["x".repeat(500)]),
    );
    expect(seen[4]).toEqual({ code: 4408, reason: "slow-consumer" });
    await publish(source, "11", "still there");
    expect((await takeMessages(fast, 1)).messages).toEqual(["still there"]);
  });

  test("11.3 an ack of another epoch is none: nothing counts from it on", async () => {
    const topic = freshTopic();
    const source = await openPublisher(topic, { ...policy, maxBacklogBytes: 1024 });
    const reader = await openStream(topic);
    await nextFrame(reader);
    await expectReached("ack-of-another-epoch", async () => {
      reader.send(JSON.stringify({ type: "ack", cursor: "000000000000-1" }));
      for (let n = 0; n < 10; n++) await publish(source, String(n), "x".repeat(500));
    });
    expect((await takeMessages(reader, 10)).messages).toHaveLength(10);
  });

  test("11.3 what was not acknowledged counts in bytes as they go over the wire", async () => {
    const topic = freshTopic();
    // A short text, so that the frame around it counts, and one that has three bytes a character.
    const text = "€".repeat(20);
    const at = new Date().toISOString();
    const frame = { type: "messages", cursor: "0123456789ab-12", at, messages: [text] };
    const bare = JSON.stringify(frame);
    const maxBacklogBytes = 10 * new TextEncoder().encode(bare).length;
    const source = await openPublisher(topic, { ...policy, maxBacklogBytes });
    const slow = await openStream(topic);
    const { cursor } = await nextFrame(slow);
    slow.send(JSON.stringify({ type: "ack", cursor }));
    for (let n = 1; n <= 12; n++) await publish(source, `${n}`, text);
    // With the eleventh it is over the bound, when the twelfth is due.
    const seen = await slow.take(12);
    expect(seen.slice(0, 11).map((item) => frameOf(item).type)).toEqual(Array(11).fill("messages"));
    expect(seen[11]).toEqual({ code: 4408, reason: "slow-consumer" });
  });

  test("10.10 a stream subscriber that sends anything but an ack is closed", async () => {
    const topic = freshTopic();
    await openPublisher(topic, policy);
    const stream = await openStream(topic);
    await nextFrame(stream);
    await settle(topic);
    stream.send("hello");
    expect(await nextFrame(stream)).toMatchObject({ type: "error", id: null });
    expect(await stream.next()).toEqual({ code: 4500, reason: "invalid-frame" });
  });
});

describe("recovery", () => {
  test.each([{ policy: {} }, { policy: HISTORY }])(
    "9.5 the past joins the present without hole, repeat or reorder ($policy)",
    async ({ policy }) => {
      const topic = freshTopic();
      const source = await open(topic, publisher(policy));
      const early = await openStream(topic);
      await nextFrame(early);
      for (const text of numbers(1, 300)) source.send(text);
      const { cursor } = await takeMessages(early, 100);
      const seen = offsetOf(cursor) ?? 0;
      const [stream, raw] = [
        await openStream(topic, cursor),
        await open(topic, subscriber(null, { since: cursor })),
      ];
      for (const text of numbers(301, 600)) source.send(text);
      expect(await nextFrame(stream)).toEqual({ type: "open", cursor, recovered: true });
      expect((await takeMessages(stream, 600 - seen)).messages).toEqual(numbers(seen + 1, 600));
      expect(await raw.take(600 - seen)).toEqual(numbers(seen + 1, 600));
    },
  );

  test("9.2 what was acknowledged survives a crash, and so does the id", async () => {
    const topic = freshTopic();
    const source = await openPublisher(topic, HISTORY);
    const cursor = await publish(source, "1", "a", "b");
    await crash(topic);
    const stream = await openStream(topic, "earliest");
    expect(await nextFrame(stream)).toMatchObject({ type: "open", recovered: true });
    expect(await takeMessages(stream, 2)).toEqual({ messages: ["a", "b"], cursor });
    const successor = await openPublisher(topic, HISTORY);
    expect(await publish(successor, "1", "a", "b")).toBe(cursor);
    await publish(successor, "2", "c");
    expect((await takeMessages(stream, 1)).messages).toEqual(["c"]);
  });

  test("9.6 without history a crash is a gap, for raw subscribers with gap=close too", async () => {
    const topic = freshTopic();
    const source = await openPublisher(topic);
    const cursor = await publish(source, "1", "a");
    await crash(topic);
    const successor = await openPublisher(topic);
    await publish(successor, "2", "b");
    const stream = await openStream(topic, cursor);
    expect(await nextFrame(stream)).toEqual({ type: "open", cursor, recovered: false });
    const { type, from, to } = await nextFrame(stream);
    expect({ type, from, to: offsetOf(to) }).toEqual({ type: "gap", from: cursor, to: 0 });
    expect((await takeMessages(stream, 1)).messages).toEqual(["b"]);
    const closing = await expectReached("gap-closes-newcomer", () =>
      open(topic, subscriber(null, { since: cursor, gap: "close" })),
    );
    expect(await closing.next()).toEqual({ code: 4510, reason: "history-gap" });
  });

  test("9.1 a crash in the grace period gives out no place twice", async () => {
    const topic = freshTopic();
    const source = await open(topic, publisher());
    const stream = await openStream(topic);
    await nextFrame(stream);
    // The second one lingers while its publisher leaves.
    source.send("1");
    source.send("2");
    source.close(1000);
    const { cursor } = await takeMessages(stream, 2);
    await crash(topic);
    const successor = await openPublisher(topic);
    await publish(successor, "3", "another 2");
    const back = await openStream(topic, cursor);
    expect(await nextFrame(back)).toEqual({ type: "open", cursor, recovered: false });
    expect(await nextFrame(back)).toMatchObject({ type: "gap", from: cursor });
    expect((await takeMessages(back, 1)).messages).toEqual(["another 2"]);
  });

  test("9.6 what was trimmed is told with both ends", async () => {
    const topic = freshTopic();
    const source = await openPublisher(topic, { historyMessages: 3 });
    const first = await publish(source, "1", "1");
    const cursor = await publish(source, "2", ...numbers(2, 10));
    await evict(topic);
    const { epoch } = parseCursor(cursor) ?? {};
    const stream = await openStream(topic, first);
    expect(await nextFrame(stream)).toEqual({ type: "open", cursor: first, recovered: false });
    expect(await nextFrame(stream)).toEqual({ type: "gap", from: first, to: `${epoch}-7` });
    expect(await takeMessages(stream, 3)).toEqual({ messages: ["8", "9", "10"], cursor });
  });

  test("9.8 a topic that started again goes on where it ended, for history_seconds", async () => {
    const topic = freshTopic();
    const policy = { graceSeconds: 0, historySeconds: 3600 };
    const source = await openPublisher(topic, policy);
    const cursor = await publish(source, "1", "a");
    source.close(1000);
    await source.next();
    await evict(topic);
    // The alarm that will free the storage is set, and does nothing before its time.
    expect(await runDurableObjectAlarm(topic)).toBe(true);
    const successor = await openPublisher(topic, policy);
    const stream = await openStream(topic, "-5");
    expect(await nextFrame(stream)).toMatchObject({ recovered: true });
    expect(await takeMessages(stream, 1)).toEqual({ messages: ["a"], cursor });
    await publish(successor, "2", "b");
    expect((await takeMessages(stream, 1)).messages).toEqual(["b"]);
  });

  test("9.8 a topic that ended frees its storage, at once or when its alarm fires", async () => {
    for (const historySeconds of [0, 1]) {
      const topic = freshTopic();
      const policy = { graceSeconds: 0, historyMessages: 10, historySeconds };
      const source = await openPublisher(topic, policy);
      await publish(source, "1", "a");
      source.close(1000);
      await source.next();
      await expect
        .poll(() => storedIn(topic), { timeout: 10_000 })
        .toEqual({
          keys: 0,
          tables: 0,
          alarm: null,
        });
    }
  });

  test.each([
    { historyDelayMs: 1000 },
    { historyDelayMs: 125 },
    { historyDelayMs: DEFAULT_POLICY.historyDelayMs },
  ])("9.2 messages share rows, $historyDelayMs ms apart", async ({ historyDelayMs }) => {
    const { rows, passedMs } = await publishSteadily({ ...HISTORY, historyDelayMs });
    expect(rows).toBeGreaterThan(0);
    expect(rows).toBeLessThanOrEqual(passedMs / historyDelayMs + 2);
  });

  test("9.2 with a delay of 0 a message shares none with those that come later", async () => {
    expect((await publishSteadily({ ...HISTORY, historyDelayMs: 0 })).rows).toBeGreaterThan(50);
  });
});

/** Publishes 100 messages, 10 ms apart or more. */
async function publishSteadily(
  policy: Partial<Policy>,
): Promise<{ readonly rows: number; readonly passedMs: number }> {
  const topic = freshTopic();
  const source = await open(topic, publisher(policy));
  const client = await open(topic, subscriber());
  const rowsWritten = await countRowsWritten(topic);
  const sent = numbers(1, 100);
  const startMs = performance.now();
  for (const text of sent) {
    source.send(text);
    await scheduler.wait(10);
  }
  expect(await client.take(100)).toEqual(sent);
  return { rows: rowsWritten(), passedMs: performance.now() - startMs };
}

describe("10.11 an overloaded topic", () => {
  test("says so, and takes everything again later", async () => {
    const topic = freshTopic();
    const source = await openPublisher(topic);
    const raw = await open(topic, subscriber());
    const messages = numbers(1, 1000);
    // All of them arrive before the loop turns once.
    const answers = await runInDurableObject(topic, (instance, ctx) => {
      const [socket] = hubSockets(ctx, "publisher");
      if (socket === undefined) throw new Error("There is no publisher");
      for (let n = 1; n <= 12; n++) {
        instance.webSocketMessage(
          socket,
          JSON.stringify({ type: "publish", id: `${n}`, messages }),
        );
      }
      return 12;
    });
    const frames = (await source.take(answers)).map((received) => frameOf(received));
    const accepted = frames.filter(({ type }) => type === "ack").length;
    expect(accepted).toBeGreaterThan(0);
    for (const { type, problem } of frames) {
      if (type === "ack") continue;
      expect(problem).toMatchObject({
        type: "urn:wspubsub:problem:topic-overloaded",
        retryAfter: 1,
      });
    }
    const [refused] = frames.filter(({ type }) => type === "error");
    expect(refused).toBeDefined();
    await publish(source, refused?.id ?? "", "at last");
    expect((await raw.take(accepted * 1000 + 1)).at(-1)).toBe("at last");
  });
});

async function storedIn(
  topic: DurableObjectStub<Topic>,
): Promise<{ keys: number; tables: number; alarm: number | null }> {
  return runInDurableObject(topic, async (_, { storage }) => ({
    keys: [...storage.kv.list()].length,
    tables: storage.sql.exec("select name from sqlite_master where name = 'log'").toArray().length,
    alarm: await storage.getAlarm(),
  }));
}

/** Counts what everything that is written through SQL costs from now on. */
async function countRowsWritten(topic: DurableObjectStub<Topic>): Promise<() => number> {
  let rows = 0;
  await runInDurableObject(topic, (_, { storage: { sql } }) => {
    const exec = sql.exec.bind(sql);
    Object.defineProperty(sql, "exec", {
      value: (...args: Parameters<typeof exec>) => {
        const cursor = exec(...args);
        rows += cursor.rowsWritten;
        return cursor;
      },
    });
  });
  return () => rows;
}
