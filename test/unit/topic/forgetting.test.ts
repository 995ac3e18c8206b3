/**
 * PROTOCOL.md, 15.11, on the object itself: what was published is forgotten, and who is there goes on. Every test of the
 * first part runs twice, the second time with the topic evicted between its steps.
 */
import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, test, vi } from "vitest";
import { formatAdmission } from "../../../src/core/admission.ts";
import { formatFinish, formatPublish } from "../../../src/core/client-frame.ts";
import { hasEnded } from "../../../src/core/fresh-stub.ts";
import type { HubFrame } from "../../../src/core/hub-frame.ts";
import type { Policy } from "../../../src/core/policy.ts";
import { VACANT } from "../../../src/core/topic-state.ts";
import { FinishedLife } from "../../../src/topic/finished-life.ts";
import { Forgetting } from "../../../src/topic/forgetting.ts";
import type { Topic } from "../../../src/topic/topic.ts";
import { Clock } from "../../support-in-workerd/clock.ts";
import { expectReached } from "../../support-in-workerd/expect-reached.ts";
import { failNextWrite } from "../../support-in-workerd/faults.ts";
import { freshStub } from "../../support-in-workerd/fresh-stub.ts";
import { keyGrant, tokenGrant } from "../support/grants.ts";
import { breakSql, onStorage, START_MS } from "../support/log-storage.ts";
import { openLog, raw } from "../support/logs.ts";
import { nextFrame } from "../support/next-frame.ts";
import { cursorOf, post } from "../support/posts.ts";
import { answerOf, ask, open, publisher, subscriber, type Client } from "../support/sockets.ts";
import { NOTHING, storedIn } from "../support/stored.ts";
import { crash, evict, freshDomain, freshTopic, wake } from "../support/topics.ts";
import { useWaitingBytes } from "../support/waiting-bytes.ts";

type Stub = DurableObjectStub<Topic>;
type ReaderOptions = Parameters<typeof subscriber>[1];

const DURABLE: Partial<Policy> = { historyMessages: 1000, historyDelayMs: 0 };
const KEPT: Partial<Policy> = { graceSeconds: 0, historySeconds: 3600, historyDelayMs: 0 };
const SHARED: Partial<Policy> = { publishers: "shared" };
const HISTORY_GAP = { code: 4510, reason: "history-gap" };
const DAY_MS = 86_400_000;

/** More than a replay lets wait, where a test says so. */
const waiting = useWaitingBytes();

/** Publishes on a socket; returns the cursor. */
async function publish(source: Client, id: string, ...messages: string[]): Promise<string> {
  source.send(formatPublish({ id, messages }));
  return ackOf(source, id);
}

async function ackOf(source: Client, id: string): Promise<string> {
  const frame = await nextFrame(source);
  if (frame.type !== "ack" || frame.id !== id) throw new Error(JSON.stringify(frame));
  return frame.cursor;
}

function openSource(topic: Stub, policy: Partial<Policy>): Promise<Client> {
  return open(freshStub(topic), publisher(policy, { protocol: "stream", grant: keyGrant() }));
}

function openReader(
  topic: Stub,
  policy: Partial<Policy> | null,
  since: string | null,
  options: ReaderOptions = {},
): Promise<Client> {
  return open(freshStub(topic), subscriber(policy, { protocol: "stream", since, ...options }));
}

/** What a reader gets from here on, up to and with a message, or another frame that is the last. */
async function readUpTo(reader: Client, last: string): Promise<HubFrame[]> {
  for (const frames: HubFrame[] = []; ;) {
    const frame = await nextFrame(reader);
    frames.push(frame);
    if (frame.type === last) return frames;
    if (frame.type === "messages" && frame.messages.includes(last)) return frames;
  }
}

async function readToClose(reader: Client): Promise<unknown> {
  for (;;) {
    const received = await reader.next();
    if (typeof received !== "string") return received;
  }
}

function textsOf(frames: readonly HubFrame[]): unknown[] {
  return frames.flatMap((frame) => (frame.type === "messages" ? frame.messages : []));
}

function epochOf(cursor: string): string {
  return cursor.slice(0, cursor.lastIndexOf("-"));
}

/** A page, or why there is none. */
async function pageOf(
  topic: Stub,
  policy: Partial<Policy>,
  since: string = "earliest",
): Promise<unknown> {
  const admission = formatAdmission(subscriber(policy, { since }));
  const page = await env.TOPIC.get(topic.id).page(admission, 99);
  return page.type === "page" ? JSON.parse(await new Response(page.body).text()) : page;
}

/** All texts that are stored, of rows, and what is beside them. */
function storedText(topic: Stub): Promise<string> {
  return runInDurableObject(freshStub(topic), (_, { storage: { kv, sql } }) => {
    const tables = sql
      .exec<{ name: string }>("select name from sqlite_master where name like '%log%'")
      .toArray();
    const rows = tables.map(({ name }) => sql.exec(`select * from ${name}`).toArray());
    return JSON.stringify([[...kv.list()], rows]);
  });
}

function alarmOf(topic: Stub): Promise<number | null> {
  return runInDurableObject(freshStub(topic), (_, { storage }) => storage.getAlarm());
}

/** All that sockets carry. */
function carriedText(topic: Stub): Promise<string> {
  return runInDurableObject(freshStub(topic), (_, ctx) =>
    JSON.stringify(ctx.getWebSockets().map((socket): unknown => socket.deserializeAttachment())),
  );
}

describe.each([
  { name: "awake", settle: wake },
  { name: "evicted between steps", settle: evict },
])("a topic that forgets, $name", ({ settle }) => {
  test.each([
    ["in memory", {}],
    ["durable", DURABLE],
    ["durable and kept", KEPT],
    ["shared", { ...SHARED, ...DURABLE }],
  ] as const)("15.11 goes on with who is there, %s", async (_, policy) => {
    const topic = freshTopic();
    const source = await openSource(topic, policy);
    const watcher = await openReader(topic, null, null);
    const plain = await open(topic, subscriber());
    const before = await publish(source, "id-one", "secret-one", "secret-two");
    await readUpTo(watcher, "secret-two");
    await plain.take(2);
    await settle(topic);
    // What is in memory alone is gone when the topic has slept.
    const isThere = settle === wake || "historyDelayMs" in policy;
    expect(await freshStub(topic).forgetMessages()).toBe(isThere ? 2 : 0);
    await settle(topic);
    expect(await storedText(topic)).not.toMatch(/secret|id-one/);
    expect(await carriedText(topic)).not.toContain("id-one");
    const empty = await pageOf(topic, policy);
    expect(empty).toMatchObject({ messages: [], gap: null });
    // The same id, which nobody remembers.
    const after = await publish(source, "id-one", "next");
    expect(epochOf(after)).not.toBe(epochOf(before));
    expect(empty).toMatchObject({ cursor: `${epochOf(after)}-0` });
    expect(after).toBe(`${epochOf(after)}-1`);
    // They have missed nothing, and are told of no gap.
    expect(await nextFrame(watcher)).toMatchObject({ messages: ["next"], cursor: after });
    expect(await plain.next()).toBe("next");
    expect(await pageOf(topic, policy, before)).toMatchObject({
      gap: { from: before, to: `${epochOf(after)}-0` },
      messages: ["next"],
    });
    const newcomer = await openReader(topic, null, "earliest");
    expect(textsOf(await readUpTo(newcomer, "next"))).toEqual(["next"]);
    expect(await topic.describe()).toMatchObject({ phase: "live", publishers: 1, subscribers: 3 });
  });

  test("15.11 says how many messages could be read", async () => {
    const topic = freshTopic();
    const source = await openSource(topic, { historyMessages: 2, historyDelayMs: 0 });
    for (const text of ["a", "b", "c"]) await publish(source, text, text);
    await settle(topic);
    expect(await freshStub(topic).forgetMessages()).toBe(2);
    await settle(topic);
    expect(await freshStub(topic).forgetMessages()).toBe(0);
  });

  test.each([
    ["in memory", { graceSeconds: 60 }],
    ["durable", { ...DURABLE, graceSeconds: 60 }],
  ] as const)("15.11 in its grace, which goes on, %s", async (_, policy) => {
    const topic = freshTopic();
    const before = cursorOf(await post(topic, policy, { id: "id-one", messages: ["secret"] }));
    await settle(topic);
    await freshStub(topic).forgetMessages();
    const stored = await storedText(topic);
    expect(stored).not.toMatch(/secret|id-one/);
    expect(stored.includes('"history":{')).toBe("historyMessages" in policy);
    await settle(topic);
    expect(await freshStub(topic).describe()).toMatchObject({ phase: "grace" });
    const empty = await pageOf(topic, policy);
    const after = cursorOf(await post(topic, policy, { id: "id-one", messages: ["next"] }));
    expect(epochOf(after)).not.toBe(epochOf(before));
    // What was kept of the place outlives a sleep, so that nobody is told of a gap for nothing.
    expect(empty).toMatchObject({ messages: [], cursor: `${epochOf(after)}-0` });
  });

  test("15.11 of a topic that is over and kept nothing is left", async () => {
    const topic = freshTopic();
    await post(topic, KEPT, { messages: ["secret"] });
    await settle(topic);
    expect(await pageOf(topic, KEPT)).toMatchObject({ messages: ["secret"] });
    expect(await freshStub(topic).forgetMessages()).toBe(1);
    expect(await storedIn(topic)).toEqual(NOTHING);
    // Not even that something was to end.
    expect(await alarmOf(topic)).toBeNull();
    await settle(topic);
    expect(await pageOf(topic, KEPT)).toMatchObject({ type: "refused", slug: "topic-not-live" });
    expect(await freshStub(topic).forgetMessages()).toBe(0);
    await post(topic, { ...KEPT, graceSeconds: 60 }, { messages: ["next"] });
    expect(await pageOf(topic, KEPT)).toMatchObject({ gap: null, messages: ["next"] });
  });

  test("15.11 of a shared one who waits stays, also through a sleep, and gets what comes", async () => {
    const policy = { ...SHARED, ...DURABLE };
    const topic = freshTopic();
    const source = await openSource(topic, policy);
    const waiter = await openReader(topic, policy, null, { grant: keyGrant() });
    await publish(source, "1", "secret");
    await readUpTo(waiter, "secret");
    source.close(1000);
    await source.next();
    await settle(topic);
    expect(await freshStub(topic).describe()).toMatchObject({ phase: "vacant", subscribers: 1 });
    expect(await freshStub(topic).forgetMessages()).toBe(1);
    expect(await storedText(topic)).not.toContain("secret");
    await settle(topic);
    const empty = await pageOf(topic, policy);
    const after = cursorOf(await post(topic, policy, { messages: ["next"] }));
    expect(empty).toMatchObject({ messages: [], cursor: `${epochOf(after)}-0` });
    expect(await nextFrame(waiter)).toMatchObject({ messages: ["next"], cursor: after });
  });

  test("15.11 what finished the topic is forgotten, too", async () => {
    const topic = freshTopic();
    const policy = { graceSeconds: 0 };
    await post(topic, policy, { id: "id-one", messages: ["secret"], isFinish: true });
    await settle(topic);
    expect((await storedIn(topic)).keys).toEqual(["finished"]);
    await freshStub(topic).forgetMessages();
    expect(await storedIn(topic)).toEqual(NOTHING);
    await settle(topic);
    const other = await post(topic, policy, { id: "id-one", messages: ["other"], isFinish: true });
    expect(other.type).toBe("published");
  });

  test("15.11 while a life goes on after one that was finished", async () => {
    const topic = freshTopic();
    await post(topic, DURABLE, { id: "id-one", messages: ["secret"], isFinish: true });
    const source = await openSource(topic, DURABLE);
    await settle(topic);
    await freshStub(topic).forgetMessages();
    expect(await storedText(topic)).not.toContain("id-one");
    // It begins nothing to say that again, and is none.
    source.send(formatFinish({ id: "id-one", messages: ["other"] }));
    expect(await nextFrame(source)).toMatchObject({ type: "ack", id: "id-one" });
  });

  test("15.11 of a name that nobody uses nothing is stored", async () => {
    const { domain, topic: topicOf } = freshDomain();
    const topic = topicOf();
    expect(await topic.forgetMessages()).toBe(0);
    await settle(topic);
    expect(await storedIn(topic)).toEqual(NOTHING);
    expect(await topic.describe()).toMatchObject({ phase: "vacant" });
    expect(await domain.topics("", 9)).toEqual([]);
  });
});

describe("what is forgotten", () => {
  test.each([DURABLE, KEPT])("15.11 does not come back after a crash: %j", async (policy) => {
    const topic = freshTopic();
    const source = await openSource(topic, { ...policy, graceSeconds: 60 });
    const before = await publish(source, "1", "secret");
    await topic.forgetMessages();
    const after = await publish(source, "1", "kept");
    await crash(topic);
    expect(await pageOf(topic, policy, before)).toMatchObject({
      cursor: after,
      gap: { from: before, to: `${epochOf(after)}-0` },
      messages: ["kept"],
    });
  });

  test.each([
    { method: "kv.delete", matching: "finished" },
    { method: "kv.delete", matching: "log" },
    { method: "sql.exec", matching: "drop table" },
    { method: "sql.exec", matching: "create table" },
    { method: "kv.put", matching: "log" },
  ])("15.11 is all there again where storage fails: %j", async (fault) => {
    const topic = freshTopic();
    await post(topic, DURABLE, { id: "end", messages: ["secret"], isFinish: true });
    const source = await openSource(topic, KEPT);
    const before = await publish(source, "1", "one", "two");
    // The files of a run share a log, which does not say the same twice.
    failNextWrite(topic, { ...fault, error: new Error(`SQLITE_FULL for ${topic.id.toString()}`) });
    const failed: unknown = await topic.forgetMessages().catch((error: unknown) => error);
    // The edge asks once more by itself.
    expect(hasEnded(failed)).toBe(true);
    expect(await pageOf(topic, KEPT)).toMatchObject({
      gap: null,
      cursor: before,
      messages: ["one", "two"],
    });
    expect((await storedIn(freshStub(topic))).keys).toContain("finished");
    expect(await freshStub(topic).forgetMessages()).toBe(2);
  });

  test("15.11 is all stored still where storage fails in the middle, whatever becomes of the object", () =>
    onStorage((storage) => {
      const log = openLog(storage, KEPT);
      log.append(raw("secret"), START_MS);
      const finished = new FinishedLife(storage.kv);
      finished.remember({ id: "1", owner: 1, fingerprint: 7 }, log.position, START_MS);
      finished.store({ isEmptied: false });
      const stored = (): unknown => [...storage.kv.list()];
      const before = stored();
      const forgetting = new Forgetting({
        alarm: { rearm: () => {} },
        finished,
        lifecycle: { passTime: () => {}, rememberLog: () => {}, state: VACANT },
        log,
        storage,
        vacancy: { empty: () => {} },
      });
      breakSql(storage);
      expect(() => forgetting.forget()).toThrow("SQLITE_IOERR");
      expect(stored()).toEqual(before);
    }));

  test("15.11 is not what has not its place yet: it comes after", async () => {
    const topic = freshTopic();
    const source = await openSource(topic, { historyMessages: 10, historyDelayMs: 1000 });
    const watcher = await openReader(topic, null, null);
    const before = await publish(source, "1", "secret");
    source.send(formatPublish({ id: "2", messages: ["later"] }));
    // It is there, and waits for a row.
    await wake(topic);
    expect(await topic.forgetMessages()).toBe(1);
    const after = await ackOf(source, "2");
    expect(after).toBe(`${epochOf(after)}-1`);
    expect(epochOf(after)).not.toBe(epochOf(before));
    expect(textsOf(await readUpTo(watcher, "later"))).toEqual(["secret", "later"]);
    expect(await pageOf(topic, DURABLE)).toMatchObject({ messages: ["later"], cursor: after });
  });

  test("15.11 11.3 what was sent of it can still be acknowledged", async () => {
    const policy = { ...DURABLE, maxBacklogBytes: 2048 };
    const topic = freshTopic();
    const source = await openSource(topic, policy);
    const reader = await openReader(topic, null, null);
    const opened = await nextFrame(reader);
    if (opened.type !== "open") throw new Error("Not open");
    reader.send(JSON.stringify({ type: "ack", cursor: opened.cursor }));
    await wake(topic);
    const first = await publish(source, "1", "x".repeat(1000));
    const second = await publish(source, "2", "y".repeat(1000));
    await readUpTo(reader, "y".repeat(1000));
    await topic.forgetMessages();
    expect(await topic.sockets(9)).toMatchObject([{}, { messagesBehind: null }]);
    for (const cursor of [first, second]) reader.send(JSON.stringify({ type: "ack", cursor }));
    await publish(source, "3", "z".repeat(1500));
    await publish(source, "4", "last");
    expect(textsOf(await readUpTo(reader, "last"))).toEqual(["z".repeat(1500), "last"]);
  });

  test.each([
    ["an epoch that never was", () => "000000000000-9"],
    ["what came before the rest of it", (first: string) => first],
  ])("15.11 11.3 an ack of %s says nothing of what was sent behind it", async (_, acked) => {
    const topic = freshTopic();
    const source = await openSource(topic, { ...DURABLE, maxBacklogBytes: 2048 });
    const reader = await openReader(topic, null, null);
    const opened = await nextFrame(reader);
    if (opened.type !== "open") throw new Error("Not open");
    reader.send(JSON.stringify({ type: "ack", cursor: opened.cursor }));
    await wake(topic);
    const first = await publish(source, "1", "x");
    await publish(source, "2", "y".repeat(1000));
    await topic.forgetMessages();
    reader.send(JSON.stringify({ type: "ack", cursor: acked(first) }));
    await publish(source, "3", "z".repeat(1500));
    await publish(source, "4", "last");
    expect(await readToClose(reader)).toEqual({ code: 4408, reason: "slow-consumer" });
  });
});

const MESSAGES = 30;
const ALL = Array.from({ length: MESSAGES }, (_, n) => String(n).padEnd(30_000, "x"));

/** A reader in the middle of the past, who gets no more until `waiting.each` is 0. */
async function openSlowReader(
  topic: Stub,
  policy: Partial<Policy> | null,
  options: ReaderOptions = {},
): Promise<{ reader: Client; cursor: string }> {
  waiting.each = 600_000;
  const reader = await openReader(topic, policy, "earliest", options);
  expect(await nextFrame(reader)).toMatchObject({ type: "open" });
  const frame = await nextFrame(reader);
  if (frame.type !== "messages") throw new Error(`Not messages: ${frame.type}`);
  return { reader, cursor: frame.cursor };
}

describe("who reads what is forgotten", () => {
  test.each([
    ["durable", DURABLE],
    ["in memory", {}],
  ] as const)("15.11 is told of a gap, and goes on with what comes, %s", async (_, policy) => {
    const topic = freshTopic();
    const source = await openSource(topic, policy);
    for (const [n, text] of ALL.entries()) await publish(source, String(n), text);
    const { reader, cursor } = await openSlowReader(topic, null);
    const { reader: strict } = await openSlowReader(topic, null, { gap: "close" });
    await topic.forgetMessages();
    // What others have read is not remembered for them either.
    const newcomer = await openReader(topic, null, "earliest");
    expect(await nextFrame(newcomer)).toMatchObject({ type: "open", recovered: true });
    waiting.each = 0;
    const after = await publish(source, "next", "next");
    const [gap, ...rest] = await readUpTo(reader, "next");
    expect(gap).toEqual({ type: "gap", from: cursor, to: expect.stringMatching(/-[01]$/) });
    expect(textsOf(rest).every((text) => text === "next")).toBe(true);
    expect(await strict.next()).toEqual(HISTORY_GAP);
    expect(await readUpTo(newcomer, "next")).toMatchObject([{ cursor: after }]);
  });

  test.each([
    ["kept", KEPT],
    ["in memory alone", { graceSeconds: 0 }],
    ["durable and not kept", { graceSeconds: 0, ...DURABLE }],
  ] as const)("15.11 after the end, too, and then of the end: %s", async (_, policy) => {
    const topic = freshTopic();
    const source = await openSource(topic, policy);
    for (const [n, text] of ALL.entries()) await publish(source, String(n), text);
    const { reader, cursor } = await openSlowReader(topic, null);
    const { reader: strict } = await openSlowReader(topic, null, { gap: "close" });
    source.send(formatFinish({ id: "end", messages: [] }));
    await ackOf(source, "end");
    expect(await topic.describe()).toMatchObject({ phase: "vacant" });
    await freshStub(topic).forgetMessages();
    // That they are leaving must be known after a sleep, and goes soon should memory be lost.
    expect(await storedIn(topic)).toEqual({ ...NOTHING, keys: ["leaving"] });
    expect(await alarmOf(topic)).toBeLessThanOrEqual(Date.now() + 120_000);
    await expectReached("past-forgotten", async () => {
      waiting.each = 0;
      const [gap, end] = await readUpTo(reader, "end");
      expect(gap).toEqual({ type: "gap", from: cursor, to: expect.stringMatching(/-0$/) });
      expect(end).toEqual({ type: "end", reason: "finished" });
    });
    expect(await reader.next()).toEqual({ code: 1000, reason: "topic-finished" });
    expect(await strict.next()).toEqual(HISTORY_GAP);
    await vi.waitFor(async () => expect(await storedIn(topic)).toEqual(NOTHING));
  });

  test("15.11 of a topic that is over the database goes, whoever is still to be told", async () => {
    const topic = freshTopic();
    const source = await openSource(topic, KEPT);
    for (const [n, text] of ALL.entries()) await publish(source, String(n), text);
    source.send(formatFinish({ id: "end", messages: [] }));
    await ackOf(source, "end");
    const { reader } = await openSlowReader(topic, KEPT);
    // What a row held stays in a page that is free: only this empties them.
    const emptied = await runInDurableObject(freshStub(topic), (_, { storage }) =>
      vi.spyOn(storage, "deleteAll"),
    );
    await freshStub(topic).forgetMessages();
    expect(emptied).toHaveBeenCalledOnce();
    void reader;
  });

  test("15.11 who came to read what is over is told likewise, while the next life goes on", async () => {
    const topic = freshTopic();
    const source = await openSource(topic, KEPT);
    for (const [n, text] of ALL.entries()) await publish(source, String(n), text);
    source.send(formatFinish({ id: "end", messages: [] }));
    await ackOf(source, "end");
    const { reader, cursor } = await openSlowReader(topic, KEPT);
    // It keeps nothing, so what is read is set aside.
    const next = await openSource(topic, { graceSeconds: 0 });
    await publish(next, "next", "of the next life");
    await freshStub(topic).forgetMessages();
    expect(await storedText(topic)).not.toContain("xxx");
    const after = await publish(next, "after", "after");
    waiting.each = 0;
    const told = await readUpTo(reader, "end");
    expect(told).toEqual([
      { type: "gap", from: cursor, to: `${epochOf(after)}-0` },
      { type: "end", reason: "finished" },
    ]);
    expect(await pageOf(topic, {})).toMatchObject({ messages: ["after"] });
  });

  test("15.11 13.6 a token ends in time of which only the alarm knows", async () => {
    using clock = new Clock();
    const policy = { ...SHARED, ...KEPT };
    const topic = freshTopic();
    const source = await openSource(topic, policy);
    const grant = tokenGrant(Date.now() + 60_000);
    const waiter = await open(topic, subscriber(policy, { grant }));
    source.close(1000);
    await source.next();
    await topic.forgetMessages();
    await clock.advance(60_001, topic);
    expect(await waiter.next()).toMatchObject({ code: 4401 });
  });

  test("15.11 a grace that has passed is over, though nobody has noticed", async () => {
    using clock = new Clock();
    const topic = freshTopic();
    await post(topic, { ...KEPT, graceSeconds: 1 }, { messages: ["secret"] });
    await clock.advance(2001);
    expect(await topic.forgetMessages()).toBe(1);
    expect(await storedIn(topic)).toEqual(NOTHING);
  });

  test("15.11 what is kept for a time does not end sooner or later for it", async () => {
    using clock = new Clock();
    const topic = freshTopic();
    await post(topic, { ...KEPT, graceSeconds: 60 }, { messages: ["secret"] });
    await topic.forgetMessages();
    await post(topic, { ...KEPT, graceSeconds: 60 }, { messages: ["next"] });
    await clock.advance(61_000, topic);
    expect(await pageOf(topic, KEPT)).toMatchObject({ messages: ["next"], end: "abandoned" });
    await clock.advance(DAY_MS, topic);
    expect(await answerOf(ask(freshStub(topic), subscriber(KEPT, { since: "earliest" })))).toBe(
      "topic-not-live",
    );
    await vi.waitFor(async () => expect(await storedIn(topic)).toEqual(NOTHING));
  });
});
