/**
 * PROTOCOL.md, section 18, on the object itself: pages of the log. Every test of the first part runs with history and
 * without, awake and evicted between its steps.
 */
import { runInDurableObject } from "cloudflare:test";
import { describe, expect, test } from "vitest";
import { formatAdmission } from "../../../src/core/admission.ts";
import { parseCursor } from "../../../src/core/cursor.ts";
import type { Policy } from "../../../src/core/policy.ts";
import type { Topic } from "../../../src/topic/topic.ts";
import { Clock } from "../../support-in-workerd/clock.ts";
import { keyGrant, tokenGrant } from "../support/grants.ts";
import { open, publisher, subscriber, type Client } from "../support/sockets.ts";
import { storedIn } from "../support/stored.ts";
import { crash, evict, freshTopic, wake } from "../support/topics.ts";

interface Page {
  readonly cursor: string;
  readonly gap: { readonly from: string; readonly to: string } | null;
  readonly more: boolean;
  readonly end: string | null;
  readonly at: string | readonly (readonly [number, string])[];
  readonly messages: readonly unknown[];
}

type SubscriberOptions = Parameters<typeof subscriber>[1];

interface Asked extends NonNullable<SubscriberOptions> {
  readonly limit?: number;
  readonly policy?: Partial<Policy> | null;
}

function ask(topic: DurableObjectStub<Topic>, { limit = 100, policy, ...options }: Asked = {}) {
  return topic.page(formatAdmission(subscriber(policy ?? null, options)), limit);
}

/** What is answered where there is no page. */
async function refusalOf(topic: DurableObjectStub<Topic>, asked: Asked = {}): Promise<string> {
  const answer = await ask(topic, asked);
  if (answer.type === "refused") return answer.slug;
  return answer.type === "needs" ? `needs ${answer.what}` : "a page";
}

async function pageOf(topic: DurableObjectStub<Topic>, asked: Asked = {}): Promise<Page> {
  const answer = await ask(topic, asked);
  if (answer.type !== "page") throw new Error(`No page: ${JSON.stringify(answer)}`);
  const { body, cursor, isEmpty } = answer;
  const page: Page = JSON.parse(await new Response(body).text());
  expect(page.cursor).toBe(cursor);
  expect(isEmpty).toBe(page.gap === null && page.end === null && page.messages.length === 0);
  return page;
}

/** Publishes and waits for the ack. */
async function publish(source: Client, id: string, ...messages: unknown[]): Promise<string> {
  source.send(JSON.stringify({ type: "publish", id, messages }));
  const ack = await source.next();
  if (typeof ack !== "string") throw new Error(`No ack: ${JSON.stringify(ack)}`);
  return JSON.parse(ack).cursor;
}

function at(cursor: string, offset: number): string {
  return cursor.replace(/\d+$/, String(offset));
}

describe.each([
  { name: "awake", settle: wake, policy: {} },
  {
    name: "with history, awake",
    settle: wake,
    policy: { historyMessages: 5000, historyDelayMs: 0 },
  },
  {
    name: "with history, evicted between steps",
    settle: evict,
    policy: { historyMessages: 5000, historyDelayMs: 0 },
  },
])("a page, $name", ({ settle, policy }) => {
  test("18.2 has messages in order, with their times, and says where to go on", async () => {
    const topic = freshTopic();
    const source = await open(topic, publisher(policy, { protocol: "stream" }));
    using clock = new Clock();
    const cursor = await publish(source, "1", "a", { base64: "AP+A" });
    const firstTime = new Date(clock.nowMs).toISOString();
    clock.set(clock.nowMs + 1500);
    await publish(source, "2", "c");
    const secondTime = new Date(clock.nowMs).toISOString();
    await settle(topic);
    expect(await pageOf(topic)).toEqual({
      cursor: at(cursor, 3),
      gap: null,
      more: false,
      end: null,
      at: [
        [2, firstTime],
        [1, secondTime],
      ],
      messages: ["a", { base64: "AP+A" }, "c"],
    });
    const first = await pageOf(topic, { since: "earliest", limit: 1 });
    expect(first).toMatchObject({
      cursor: at(cursor, 1),
      more: true,
      at: firstTime,
      messages: ["a"],
    });
    const second = await pageOf(topic, { since: first.cursor, limit: 2 });
    expect(second).toMatchObject({ cursor: at(cursor, 3), more: false });
    expect(second.messages).toEqual([{ base64: "AP+A" }, "c"]);
    expect(await pageOf(topic, { since: second.cursor })).toEqual({
      cursor: at(cursor, 3),
      gap: null,
      more: false,
      end: null,
      at: [],
      messages: [],
    });
    expect(await pageOf(topic, { since: "-1" })).toMatchObject({ messages: ["c"] });
  });

  test("18.2 has 1,000 messages at most", async () => {
    const topic = freshTopic();
    const source = await open(topic, publisher(policy, { protocol: "stream" }));
    const numbers = Array.from({ length: 600 }, (_, n) => String(n));
    await publish(source, "1", ...numbers.slice(0, 400));
    await publish(source, "2", ...numbers.slice(400));
    await publish(source, "3", ...numbers.slice(0, 401));
    await settle(topic);
    const page = await pageOf(topic, { limit: 5000 });
    expect(page.messages).toHaveLength(1000);
    expect(page.messages.slice(0, 600)).toEqual(numbers);
    expect(page).toMatchObject({ more: true, cursor: at(page.cursor, 1000) });
  });

  test("18.3 is told what is missing, and passes over it", async () => {
    const topic = freshTopic();
    const source = await open(topic, publisher(policy, { protocol: "stream" }));
    const cursor = await publish(source, "1", "a", "b");
    const elsewhere = "000000000000-7";
    expect(await pageOf(topic, { since: elsewhere, limit: 1 })).toMatchObject({
      gap: { from: elsewhere, to: at(cursor, 0) },
      messages: ["a"],
      more: true,
    });
    // It was lost, and nobody knows how many.
    expect(await pageOf(topic, { since: at(cursor, 9) })).toMatchObject({
      cursor,
      gap: { from: cursor, to: cursor },
      messages: [],
    });
  });
});

describe("a page", () => {
  test("18.2 has 1 MiB at most, or one message", async () => {
    const topic = freshTopic();
    const policy = { historyMessages: 100, maxMessageBytes: 33_554_432 };
    const source = await open(topic, publisher(policy, { protocol: "stream" }));
    const text = '"'.repeat(200_000);
    for (const id of ["1", "2", "3"]) await publish(source, id, text);
    const large = "\u0001".repeat(6_000_000);
    await publish(source, "4", large);
    const first = await pageOf(topic, { since: "earliest" });
    expect(first).toMatchObject({ more: true, messages: [text, text] });
    const second = await pageOf(topic, { since: first.cursor });
    expect(second.messages).toEqual([text]);
    const third = await pageOf(topic, { since: second.cursor });
    expect(third.messages[0] === large).toBe(true);
    expect(third.more).toBe(false);
  });

  test("18.3 passes over what cannot be read", async () => {
    const topic = freshTopic();
    const policy = { historyMessages: 100, historyDelayMs: 0 };
    const source = await open(topic, publisher(policy, { protocol: "stream" }));
    const cursors: string[] = [];
    for (const id of ["1", "2", "3"]) cursors.push(await publish(source, id, id));
    await runInDurableObject(topic, (_, { storage }) => {
      storage.sql.exec("update log set list = 'x' where last = 2");
    });
    await evict(topic);
    const [first = "", second = "", third = ""] = cursors;
    expect(await pageOf(topic)).toMatchObject({
      cursor: first,
      gap: null,
      more: true,
      messages: ["1"],
    });
    expect(await pageOf(topic, { since: first })).toMatchObject({
      cursor: third,
      gap: { from: first, to: second },
      messages: ["3"],
    });
    expect(await pageOf(topic, { since: second })).toMatchObject({ gap: null, messages: ["3"] });
  });

  test("18.3 begins its gap where it was asked to, and ends it where its messages begin", async () => {
    const topic = freshTopic();
    const policy = { historyMessages: 2, historyDelayMs: 0 };
    const source = await open(topic, publisher(policy, { protocol: "stream" }));
    const first = await publish(source, "1", "1");
    for (const id of ["2", "3", "4"]) await publish(source, id, id);
    expect(await pageOf(topic, { since: first })).toMatchObject({
      gap: { from: first, to: at(first, 2) },
      messages: ["3", "4"],
    });
    expect(await pageOf(topic)).toMatchObject({ gap: null, messages: ["3", "4"] });
  });

  test("18.1 takes no place, and leaves nothing behind", async () => {
    const topic = freshTopic();
    const source = await open(topic, publisher({ maxSubscribers: 1 }, { protocol: "stream" }));
    await open(topic, subscriber());
    await publish(source, "1", "a");
    const before = await storedIn(topic);
    expect(await pageOf(topic)).toMatchObject({ messages: ["a"] });
    expect(await topic.describe()).toMatchObject({ subscribers: 1 });
    expect(await storedIn(topic)).toEqual(before);
    const nowhere = freshTopic();
    expect(await refusalOf(nowhere, { policy: {} })).toBe("topic-not-live");
    expect(await storedIn(nowhere)).toEqual({ keys: [], tables: [] });
  });

  test("18.1 is for whoever may subscribe", async () => {
    const topic = freshTopic();
    expect(await refusalOf(topic)).toBe("needs policy");
    expect(await refusalOf(topic, { policy: { subscribers: "token" } })).toBe("token-required");
    const source = await open(topic, publisher({ subscribers: "token" }, { protocol: "stream" }));
    await publish(source, "1", "a");
    expect(await refusalOf(topic)).toBe("token-required");
    const grant = tokenGrant(Date.now() + 3_600_000);
    expect(await pageOf(topic, { grant })).toMatchObject({ messages: ["a"] });
    expect(await pageOf(topic, { grant: keyGrant() })).toMatchObject({ messages: ["a"] });
  });

  test("18.1 is not for a key of which the topic has heard that it ended", async () => {
    const topic = freshTopic();
    const grant = keyGrant({ keyId: 7 });
    const source = await open(
      topic,
      publisher({ publishers: "shared" }, { protocol: "stream", grant }),
    );
    await publish(source, "1", "a");
    await open(topic, subscriber(null, { grant }));
    const atMs = grant.checkedAtMs + 60_000;
    await topic.applyChange({
      type: "key",
      keyId: 7,
      standing: { type: "dead" },
      atMs,
      number: 1_000_000,
    });
    expect(await refusalOf(topic, { grant, isRechecked: false })).toBe("needs recheck");
  });

  test("18.1 of a vacant shared topic is what it keeps", async () => {
    const topic = freshTopic();
    const shared = { publishers: "shared", historySeconds: 60, historyDelayMs: 0 } as const;
    expect(await pageOf(topic, { policy: shared })).toMatchObject({ messages: [], more: false });
    const source = await open(topic, publisher(shared, { protocol: "stream" }));
    await publish(source, "1", "a");
    source.close(1000);
    await source.next();
    await crash(topic);
    expect(await pageOf(topic, { policy: shared })).toMatchObject({ messages: ["a"] });
  });

  test("18.6 of a topic that is over is what it keeps, and says how it ended", async () => {
    const topic = freshTopic();
    const policy = { historySeconds: 60, historyDelayMs: 0 };
    const source = await open(topic, publisher(policy, { protocol: "stream" }));
    await publish(source, "1", "a", "b");
    source.send(JSON.stringify({ type: "finish", id: "2", messages: ["c"] }));
    expect(await source.next()).toMatch(/"ack"/);
    expect(await source.next()).toEqual({ code: 1000, reason: "topic-finished" });
    expect(await refusalOf(topic)).toBe("needs policy");
    const first = await pageOf(topic, { policy, limit: 2 });
    expect(first).toMatchObject({ messages: ["a", "b"], more: true, end: "finished" });
    const second = await pageOf(topic, { policy, since: first.cursor });
    expect(second).toMatchObject({ messages: ["c"], more: false, end: "finished" });
    expect(await pageOf(topic, { policy, since: second.cursor })).toMatchObject({
      cursor: second.cursor,
      messages: [],
      end: "finished",
    });
    using clock = new Clock();
    clock.set(clock.nowMs + 61_000);
    expect(await refusalOf(topic, { policy })).toBe("topic-not-live");
  });

  test("18.6 of a vacant shared topic tells of no end", async () => {
    const topic = freshTopic();
    const policy = { publishers: "shared", historySeconds: 60, historyDelayMs: 0 } as const;
    const source = await open(topic, publisher(policy, { protocol: "stream" }));
    await publish(source, "1", "a");
    source.close(1000);
    await source.next();
    expect(await pageOf(topic, { policy })).toMatchObject({ messages: ["a"], end: null });
  });

  test("18.2 asks the log for as much as it needs", async () => {
    const topic = freshTopic();
    const policy = { historyMessages: 1000, historyDelayMs: 0 };
    const source = await open(topic, publisher(policy, { protocol: "stream" }));
    const text = "x".repeat(100_000);
    for (let n = 1; n <= 14; n++) await publish(source, String(n), text);
    await evict(topic);
    const page = await pageOf(topic);
    expect(page.messages.length).toBe(10);
    expect(parseCursor(page.cursor)?.offset).toBe(10);
  });
});
