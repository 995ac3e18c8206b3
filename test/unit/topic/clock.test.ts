/** The machine's clock is set back: who comes is not misled, and a history is forgotten in time. */
import { runInDurableObject } from "cloudflare:test";
import { describe, expect, test } from "vitest";
import type { Topic } from "../../../src/topic/topic.ts";
import { Clock } from "../../support-in-workerd/clock.ts";
import { rowsOf } from "../support/logs.ts";
import { open, publisher, subscriber, type Client } from "../support/sockets.ts";
import { evict, freshTopic, wake } from "../support/topics.ts";

/** Rows are deleted half an age later than they need to be. */
const MINUTE = { historySeconds: 60 };
const DELETED_MS = 90_000;

function openStream(topic: DurableObjectStub<Topic>, since: string): Promise<Client> {
  return open(topic, subscriber(null, { protocol: "stream", since }));
}

async function nextFrame(client: Client): Promise<{ readonly cursor?: string }> {
  const item = await client.next();
  if (typeof item !== "string") throw new Error(`Not a frame: ${JSON.stringify(item)}`);
  return JSON.parse(item);
}

/** Publishes by a clock that is an hour ahead. */
async function publishAhead(topic: DurableObjectStub<Topic>): Promise<string> {
  using _ = new Clock();
  const source = await open(topic, publisher(MINUTE, { protocol: "stream" }));
  source.send(JSON.stringify({ type: "publish", id: "1", messages: ["1"] }));
  const { cursor = "" } = await nextFrame(source);
  return cursor;
}

function alarmOf(topic: DurableObjectStub<Topic>): Promise<number | null> {
  return runInDurableObject(topic, (_, { storage }) => storage.getAlarm());
}

describe.each([
  { name: "awake", settle: wake },
  { name: "evicted between steps", settle: evict },
])("$name", ({ settle }) => {
  test("9.10 a message by a clock that was ahead is forgotten in its time from the correction on", async () => {
    const topic = freshTopic();
    await publishAhead(topic);
    await settle(topic);
    const beforeMs = Date.now();
    const reader = await openStream(topic, "2s");
    expect(await nextFrame(reader)).toMatchObject({ type: "open", recovered: true });
    expect(await nextFrame(reader)).toMatchObject({ type: "messages", messages: ["1"] });
    const correctedMs = Date.now();
    await settle(topic);
    const alarmMs = await alarmOf(topic);
    expect(alarmMs).toBeGreaterThanOrEqual(beforeMs + DELETED_MS);
    expect(alarmMs).toBeLessThanOrEqual(correctedMs + DELETED_MS);

    using clock = new Clock({ startMs: correctedMs + 60_001 });
    const late = await openStream(topic, "earliest");
    const opened = await nextFrame(late);
    expect(opened).toMatchObject({ type: "open", cursor: expect.stringMatching(/-1$/) });
    await settle(topic);
    await clock.advance(DELETED_MS, topic);
    expect(await runInDurableObject(topic, (_, { storage }) => rowsOf(storage))).toEqual([]);
  });
});

test("9.10 a wake finds it, too, though nobody asks for the past", async () => {
  const topic = freshTopic();
  await publishAhead(topic);
  await evict(topic);
  await wake(topic);
  expect(await alarmOf(topic)).toBeLessThanOrEqual(Date.now() + DELETED_MS);
});

test("9.10 so does somebody who has all there is", async () => {
  const topic = freshTopic();
  const cursor = await publishAhead(topic);
  const reader = await openStream(topic, cursor);
  expect(await nextFrame(reader)).toMatchObject({ type: "open", cursor, recovered: true });
  expect(await alarmOf(topic)).toBeLessThanOrEqual(Date.now() + DELETED_MS);
});

test("9.3 who comes back after history was turned on is told of no gap", async () => {
  const topic = freshTopic();
  const first = await open(topic, publisher({}, { protocol: "stream" }));
  first.send(JSON.stringify({ type: "publish", id: "1", messages: ["1", "2"] }));
  const { cursor: head = "" } = await nextFrame(first);
  const reader = await openStream(topic, head.replace(/2$/, "1"));
  expect(await nextFrame(reader)).toMatchObject({ type: "open", recovered: true });
  const takeover = publisher({ historyMessages: 10 }, { protocol: "stream", takeover: true });
  const second = await open(topic, takeover);
  second.send(JSON.stringify({ type: "publish", id: "2", messages: ["3"] }));
  expect(await nextFrame(second)).toMatchObject({ type: "ack" });
  const back = await openStream(topic, head.replace(/2$/, "1"));
  expect(await nextFrame(back)).toMatchObject({ type: "open", recovered: true });
  expect(await nextFrame(back)).toMatchObject({ type: "messages", messages: ["2"] });
  expect(await nextFrame(back)).toMatchObject({ type: "messages", messages: ["3"] });
});
