/**
 * PROTOCOL.md, 10.14, on the object itself: a publisher finishes its topic, says so again, and begins nothing by it.
 * Every test of the first part runs with each kind of log, awake and evicted between its steps.
 */
import { runInDurableObject } from "cloudflare:test";
import { describe, expect, test, vi } from "vitest";
import { formatFinish, formatPublish, type PublishFrame } from "../../../src/core/client-frame.ts";
import type { Grant } from "../../../src/core/grant.ts";
import type { Policy } from "../../../src/core/policy.ts";
import type { Topic } from "../../../src/topic/topic.ts";
import { Clock } from "../../support-in-workerd/clock.ts";
import { failNextWrite } from "../../support-in-workerd/faults.ts";
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

const TOPIC_FINISHED = { code: 1000, reason: "topic-finished" };
const TOPIC_ENDED = { code: 1000, reason: "topic-ended" };
const FINISHED = { type: "end", reason: "finished" };
const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;

/** Objects that were in memory when something was finished. */
const seen: WeakSet<Topic> = new WeakSet();

type Finish = Omit<PublishFrame, "messages"> & Partial<Pick<PublishFrame, "messages">>;

function openPublisher(
  topic: DurableObjectStub<Topic>,
  policy: Partial<Policy> = {},
  grant: Grant | null = null,
): Promise<Client> {
  return open(freshStub(topic), publisher(policy, { protocol: "stream", grant }));
}

/** How large its storage is, in bytes. */
function sizeOf(topic: DurableObjectStub<Topic>): Promise<number> {
  return runInDurableObject(freshStub(topic), (_, { storage }) => storage.sql.databaseSize);
}

/** A stream subscriber that has had its `open`. */
async function openReader(topic: DurableObjectStub<Topic>): Promise<Client> {
  const reader = await open(freshStub(topic), subscriber(null, { protocol: "stream" }));
  expect(await nextFrame(reader)).toMatchObject({ type: "open" });
  return reader;
}

/** The cursor of the ack that must come next. */
async function ackOf(client: Client, id: string): Promise<string> {
  const frame = await nextFrame(client);
  expect(frame).toMatchObject({ type: "ack", id });
  return frame.type === "ack" ? frame.cursor : "";
}

/** The slug of the refusal that must come next. */
async function refusalOf(client: Client, id: string): Promise<string> {
  const frame = await nextFrame(client);
  expect(frame).toMatchObject({ type: "error", id });
  return frame.type === "error" ? frame.problem.type.replace("urn:wspubsub:problem:", "") : "";
}

async function publish(client: Client, id: string, ...messages: string[]): Promise<string> {
  client.send(formatPublish({ id, messages }));
  return ackOf(client, id);
}

/** Finishes, and is told so. */
async function finish(client: Client, frame: Finish): Promise<string> {
  client.send(formatFinish({ messages: [], ...frame }));
  const cursor = await ackOf(client, frame.id);
  expect(await client.next()).toEqual(TOPIC_FINISHED);
  return cursor;
}

async function noteMemory(topic: DurableObjectStub<Topic>): Promise<void> {
  await runInDurableObject(freshStub(topic), (instance: Topic) => void seen.add(instance));
}

/** Waits until the object has left memory, as it does when the last socket of a topic that is over is gone. */
async function untilReset(topic: DurableObjectStub<Topic>): Promise<void> {
  await vi.waitFor(() =>
    runInDurableObject(freshStub(topic), (instance: Topic) => {
      if (seen.has(instance)) throw new Error("It is in memory");
    }),
  );
}

/** Finishes, as the last one that is here. */
async function finishLast(
  topic: DurableObjectStub<Topic>,
  client: Client,
  frame: Finish,
): Promise<string> {
  await noteMemory(topic);
  const cursor = await finish(client, frame);
  await untilReset(topic);
  return cursor;
}

const LOGS = [
  { log: "no history", policy: {} },
  { log: "history by number", policy: { historyMessages: 1000 } },
  { log: "history by age", policy: { historySeconds: 3600 } },
] as const;

describe.each(
  LOGS.flatMap((each) => [
    { ...each, name: "awake", settle: wake },
    { ...each, name: "evicted between steps", settle: evict },
  ]),
)("finish, $log, $name", ({ policy, settle }) => {
  test("10.14 ends the topic at once: acks, all that is owed, the end, the closes", async () => {
    const topic = freshTopic();
    const source = await openPublisher(topic, policy);
    const reader = await openReader(topic);
    const raw = await open(topic, subscriber());
    await settle(topic);
    const frames = ["1", "2", "3"].map((id) => formatPublish({ id, messages: [id] }));
    for (const frame of frames) source.send(frame);
    source.send(formatFinish({ id: "end", after: "3", messages: ["4", "5"] }));
    for (const id of ["1", "2", "3"]) await ackOf(source, id);
    const cursor = await ackOf(source, "end");
    expect(await source.next()).toEqual(TOPIC_FINISHED);
    expect(await raw.take(6)).toEqual(["1", "2", "3", "4", "5", TOPIC_FINISHED]);
    const messages: unknown[] = [];
    let last = "";
    let frame = await nextFrame(reader);
    for (; frame.type === "messages"; frame = await nextFrame(reader)) {
      messages.push(...frame.messages);
      last = frame.cursor;
    }
    expect(frame).toEqual(FINISHED);
    expect(messages).toEqual(["1", "2", "3", "4", "5"]);
    expect(last).toBe(cursor);
    expect(await reader.next()).toEqual(TOPIC_FINISHED);
    await vi.waitFor(async () =>
      expect(await freshStub(topic).describe()).toMatchObject({ phase: "vacant" }),
    );
  });

  test("10.14 without messages is acknowledged with the last one's cursor", async () => {
    const topic = freshTopic();
    const source = await openPublisher(topic, policy);
    const cursor = await publish(source, "1", "a", "b");
    await settle(topic);
    expect(await finish(source, { id: "end" })).toBe(cursor);
  });

  test("10.14 said again is acknowledged again, and what that began is over", async () => {
    const topic = freshTopic();
    const first = await openPublisher(topic, policy);
    await publish(first, "1", "a");
    const cursor = await finishLast(topic, first, { id: "end", messages: ["b"] });
    for (let time = 0; time < 2; time++) {
      await settle(freshStub(topic));
      const next = await openPublisher(topic, policy);
      // Whoever came meanwhile has missed nothing.
      const reader = await openReader(topic);
      await settle(freshStub(topic));
      await noteMemory(topic);
      expect(await finish(next, { id: "end", messages: ["b"] })).toBe(cursor);
      expect(await nextFrame(reader)).toEqual(FINISHED);
      expect(await reader.next()).toEqual(TOPIC_FINISHED);
      await untilReset(topic);
      expect(await freshStub(topic).describe()).toMatchObject({ phase: "vacant" });
    }
  });

  test("10.14 all of it may be said again: nothing is published twice, and nothing goes on", async () => {
    const topic = freshTopic();
    const first = await openPublisher(topic, policy);
    const cursors = [await publish(first, "1", "a"), await publish(first, "2", "b", "c")];
    cursors.push(await finishLast(topic, first, { id: "end", after: "2" }));
    await settle(freshStub(topic));
    const next = await openPublisher(topic, policy);
    const raw = await open(freshStub(topic), subscriber());
    next.send(formatPublish({ id: "1", messages: ["a"] }));
    next.send(formatPublish({ id: "2", after: "1", messages: ["b", "c"] }));
    next.send(formatFinish({ id: "end", after: "2", messages: [] }));
    const acks = [await ackOf(next, "1"), await ackOf(next, "2"), await ackOf(next, "end")];
    expect(acks).toEqual(cursors);
    expect(await next.next()).toEqual(TOPIC_FINISHED);
    expect(await raw.next()).toEqual(TOPIC_FINISHED);
  });

  test("10.14 said again where something was published since ends no more than its publisher's stay", async () => {
    const topic = freshTopic();
    const first = await openPublisher(topic, policy);
    const cursor = await finishLast(topic, first, { id: "end", messages: ["a"] });
    await settle(freshStub(topic));
    const next = await openPublisher(topic, policy);
    const raw = await open(freshStub(topic), subscriber());
    await publish(next, "2", "b");
    await settle(freshStub(topic));
    expect(await finish(next, { id: "end", messages: ["a"] })).toBe(cursor);
    expect(await freshStub(topic).describe()).toMatchObject({ phase: "grace", subscribers: 1 });
    const successor = await openPublisher(topic, policy);
    await publish(successor, "3", "c");
    expect(await raw.take(2)).toEqual(["b", "c"]);
  });

  test("10.9 10.14 its id stands for what it was, in the next life as well", async () => {
    const topic = freshTopic();
    const first = await openPublisher(topic, policy, keyGrant());
    await publish(first, "1", "a");
    await finishLast(topic, first, { id: "end", messages: ["b"] });
    await settle(freshStub(topic));
    const next = await openPublisher(topic, policy, keyGrant());
    for (const messages of [[], ["b", "b"], ["a"]]) {
      next.send(formatFinish({ id: "end", messages }));
      expect(await refusalOf(next, "end")).toBe("id-reused");
    }
    next.send(formatPublish({ id: "end", messages: ["b"] }));
    expect(await refusalOf(next, "end")).toBe("id-reused");
    // What was a publish is no end.
    next.send(formatFinish({ id: "1", messages: ["a"] }));
    expect(await refusalOf(next, "1")).toBe("id-reused");
    // Another key's is another one.
    await publish(next, "2", "c");
    next.close(1000);
    await next.next();
    const other = await openPublisher(topic, policy, keyGrant({ keyId: 2 }));
    await finish(other, { id: "end" });
  });

  test("10.14 what is refused ends nothing, and leaves the socket open", async () => {
    const topic = freshTopic();
    const source = await openPublisher(topic, { ...policy, maxMessageBytes: 4 });
    const raw = await open(topic, subscriber());
    await settle(topic);
    source.send(formatFinish({ id: "end", after: "unknown", messages: [] }));
    expect(await refusalOf(source, "end")).toBe("out-of-order");
    source.send(formatFinish({ id: "end", messages: ["large"] }));
    expect(await refusalOf(source, "end")).toBe("message-too-large");
    await publish(source, "1", "a");
    await finish(source, { id: "end", messages: ["last"] });
    expect(await raw.take(3)).toEqual(["a", "last", TOPIC_FINISHED]);
  });
});

describe("finish", () => {
  test("10.14 is refused in a shared domain, with the remedy, and everything goes on", async () => {
    const topic = freshTopic();
    const source = await openPublisher(topic, { publishers: "shared" });
    const raw = await open(topic, subscriber());
    source.send(formatFinish({ id: "end", messages: ["a"] }));
    expect(await nextFrame(source)).toEqual({
      type: "error",
      id: "end",
      problem: {
        type: "urn:wspubsub:problem:topic-shared",
        title: expect.any(String),
        status: 409,
        detail: expect.stringContaining("--publishers exclusive"),
      },
    });
    await publish(source, "1", "b");
    expect(await raw.next()).toBe("b");
  });

  test("10.14 said again where the domain has become shared ends nothing but its publisher's stay", async () => {
    const topic = freshTopic();
    const cursor = await finishLast(topic, await openPublisher(topic), {
      id: "end",
      messages: ["a"],
    });
    const shared = { publishers: "shared" } as const;
    const [next, other] = [await openPublisher(topic, shared), await openPublisher(topic, shared)];
    expect(await finish(next, { id: "end", messages: ["a"] })).toBe(cursor);
    await publish(other, "1", "b");
  });

  test("13.13 10.14 a token that publishes finishes what it publishes to", async () => {
    const topic = freshTopic();
    const token = tokenGrant(Date.now() + 3_600_000);
    const source = await openPublisher(topic, { tokenPublishers: true }, token);
    const raw = await open(topic, subscriber());
    await finish(source, { id: "end" });
    expect(await raw.next()).toEqual(TOPIC_FINISHED);
  });

  test("10.14 15.4 its domain knows of no key by which it was finished", async () => {
    const { domain, topic: topicOf } = freshDomain();
    const topic = topicOf();
    await finishLast(topic, await openPublisher(topic, {}, keyGrant()), { id: "end" });
    const told = await domain.changeKey(1, { type: "dead" }, later(), false);
    expect(told).toMatchObject({ told: 0, missed: 0 });
  });

  test("10.14 who finished is fenced out at once", async () => {
    const topic = freshTopic();
    const source = await openPublisher(topic);
    await runInDurableObject(topic, (instance, ctx) => {
      const [socket] = hubSockets(ctx, "publisher");
      if (socket === undefined) throw new Error("There is no publisher");
      instance.webSocketMessage(socket, formatFinish({ id: "end", messages: [] }));
      instance.webSocketMessage(socket, formatPublish({ id: "1", messages: ["late"] }));
    });
    await ackOf(source, "end");
    expect(await source.next()).toEqual(TOPIC_FINISHED);
    await vi.waitFor(async () =>
      expect(await freshStub(topic).describe()).toMatchObject({ phase: "vacant" }),
    );
  });

  test("14.2 10.14 no rate holds up one without messages; one that is refused counts", async () => {
    using clock = new Clock();
    const topic = freshTopic();
    const source = await openPublisher(topic, { messagesPerSecond: 2 });
    await publish(source, "1", "a", "b");
    source.send(formatFinish({ id: "end", messages: ["c"] }));
    expect(await refusalOf(source, "end")).toBe("too-many-requests");
    source.send(formatFinish({ id: "end", after: "unknown", messages: [] }));
    expect(await refusalOf(source, "end")).toBe("too-many-requests");
    await clock.advance(1000, topic);
    source.send(formatFinish({ id: "end", after: "unknown", messages: [] }));
    expect(await refusalOf(source, "end")).toBe("out-of-order");
    // That took one of two.
    source.send(formatPublish({ id: "2", messages: ["c", "d"] }));
    expect(await refusalOf(source, "2")).toBe("too-many-requests");
    await publish(source, "3", "c");
    await finish(source, { id: "end", after: "3" });
  });

  test("10.14 a crash forgets neither what was finished nor what came before it", async () => {
    const topic = freshTopic();
    const first = await openPublisher(topic);
    const published = await publish(first, "1", "a");
    const finished = await finishLast(topic, first, { id: "end", after: "1" });
    await crash(freshStub(topic));
    const next = await openPublisher(topic);
    expect(await publish(next, "1", "a")).toBe(published);
    expect(await finish(next, { id: "end", after: "1" })).toBe(finished);
  });

  test("10.14 is not acknowledged where it cannot be stored, and can be said again", async () => {
    const logged = vi.spyOn(console, "error").mockImplementation(() => {});
    const topic = freshTopic();
    const source = await openPublisher(topic);
    failNextWrite(topic, { method: "kv.put", matching: "finished" });
    source.send(formatFinish({ id: "end", messages: ["a"] }));
    expect(await source.next()).toMatchObject({ code: 1006 });
    expect(logged).toHaveBeenCalledExactlyOnceWith(expect.stringContaining('"log-failed"'));
    logged.mockRestore();
    await finish(await openPublisher(topic), { id: "end", messages: ["a"] });
  });

  test("10.14 as many publishes before it are remembered as may be unanswered", async () => {
    const topic = freshTopic();
    const first = await openPublisher(topic);
    const ids = Array.from({ length: 1000 }, (_, n) => `id-${n}`);
    for (const id of ids) first.send(formatPublish({ id, messages: [id] }));
    const cursors: string[] = [];
    for (const id of ids) cursors.push(await ackOf(first, id));
    const cursor = await finishLast(topic, first, { id: "end" });
    await crash(freshStub(topic));
    const next = await openPublisher(topic);
    expect(await publish(next, "id-1", "id-1")).toBe(cursors[1]);
    expect(await publish(next, "id-999", "id-999")).toBe(cursor);
    expect(cursors[999]).toBe(cursor);
    // With the finish, one more than that.
    expect(cursors).not.toContain(await publish(next, "id-0", "id-0"));
    expect(await finish(next, { id: "end" })).toBe(cursor);
  });

  test("10.14 as many are remembered as may be unanswered, the finish among them", async () => {
    const topic = freshTopic();
    const first = await openPublisher(topic);
    const ids = Array.from({ length: 999 }, (_, n) => `id-${n}`);
    await noteMemory(topic);
    // In one go, so that the last ones share a batch.
    for (const id of ids) first.send(formatPublish({ id, messages: [id] }));
    first.send(formatFinish({ id: "end", messages: [] }));
    const cursors: string[] = [];
    for (const id of ids) cursors.push(await ackOf(first, id));
    await ackOf(first, "end");
    expect(await first.next()).toEqual(TOPIC_FINISHED);
    await untilReset(topic);
    const next = await openPublisher(topic);
    expect(await publish(next, "id-0", "id-0")).toBe(cursors[0]);
    expect(await finish(next, { id: "end" })).toBe(cursors[998]);
  });

  test.each(LOGS)(
    "10.14 is remembered for a day, and then nothing is stored: $log",
    async (each) => {
      using clock = new Clock();
      const topic = freshTopic();
      const first = await openPublisher(topic, each.policy);
      const cursor = await finishLast(topic, first, { id: "end", messages: ["a"] });
      await clock.advance(DAY_MS - 1000, freshStub(topic));

      const next = await openPublisher(topic, each.policy);
      expect(await finishLast(topic, next, { id: "end", messages: ["a"] })).toBe(cursor);
      expect((await storedIn(topic)).keys).toContain("finished");
      await clock.advance(1000, freshStub(topic));
      expect((await storedIn(topic)).keys).not.toContain("finished");
      // The log of the life that was begun to say it again is kept as any other.
      await clock.advance(2 * HOUR_MS, freshStub(topic));
      expect(await storedIn(topic)).toEqual(NOTHING);
      const alarm = await runInDurableObject(freshStub(topic), (_, { storage }) =>
        storage.getAlarm(),
      );
      expect(alarm).toBeNull();
    },
  );

  test("10.14 is remembered through a life that was abandoned", async () => {
    using clock = new Clock();
    const topic = freshTopic();
    const cursor = await finishLast(topic, await openPublisher(topic), { id: "end" });

    const source = await openPublisher(topic, { graceSeconds: 5 });
    await publish(source, "1", "a");
    const reader = await openReader(topic);
    source.close(1000);
    await source.next();
    await clock.advance(5000, freshStub(topic));
    expect(await nextFrame(reader)).toEqual({ type: "end", reason: "abandoned" });
    expect(await reader.next()).toEqual(TOPIC_ENDED);
    const next = await openPublisher(topic);
    expect(await finish(next, { id: "end" })).toBe(cursor);
  });

  test("10.14 what a clock wrote that was ahead is not remembered for longer", async () => {
    using clock = new Clock();
    const topic = freshTopic();
    const startMs = clock.nowMs;
    clock.set(startMs + 10 * DAY_MS);
    await finishLast(topic, await openPublisher(topic), { id: "end" });
    clock.set(startMs);
    await evict(freshStub(topic));
    await clock.advance(DAY_MS - 1, freshStub(topic));
    expect((await storedIn(topic)).keys).toContain("finished");
    await evict(freshStub(topic));
    await clock.advance(1, freshStub(topic));
    expect(await storedIn(topic)).toEqual(NOTHING);
  });

  test("10.14 what is forgotten leaves no more behind than what never was", async () => {
    using clock = new Clock();
    const topic = freshTopic();
    const before = await sizeOf(freshTopic());
    await finishLast(topic, await openPublisher(topic), { id: "end" });
    expect(await sizeOf(topic)).toBeGreaterThan(before);
    await clock.advance(DAY_MS, freshStub(topic));
    expect(await sizeOf(topic)).toBe(before);
  });

  test("5.2 after it a subscriber meets nobody", async () => {
    const topic = freshTopic();
    await finishLast(topic, await openPublisher(topic), { id: "end" });
    expect(await answerOf(ask(freshStub(topic), subscriber({})))).toBe("topic-not-live");
  });
});
