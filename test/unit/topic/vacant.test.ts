/** What a shared topic without publishers keeps, asleep and awake, and what a look from outside may change. */
import { expect, test } from "vitest";
import type { KeyStanding } from "../../../src/core/change.ts";
import { DEFAULT_POLICY, type Policy } from "../../../src/core/policy.ts";
import type { Topic } from "../../../src/topic/topic.ts";
import { atRest } from "../../support-in-workerd/at-rest.ts";
import { Clock } from "../../support-in-workerd/clock.ts";
import { tokenGrant } from "../support/grants.ts";
import { later } from "../support/later.ts";
import { answerOf, ask, open, publisher, subscriber, type Client } from "../support/sockets.ts";
import { crash, evict, freshDomain, freshTopic } from "../support/topics.ts";

const SHARED: Partial<Policy> = { publishers: "shared" };

interface Frame {
  readonly type: string;
  readonly cursor?: string;
  readonly recovered?: boolean | null;
  readonly messages?: readonly string[];
}

async function frame(client: Client): Promise<Frame> {
  const received = await client.next();
  if (typeof received !== "string") throw new Error(`Not a text: ${JSON.stringify(received)}`);
  return JSON.parse(received) as Frame;
}

function listen(
  topic: DurableObjectStub<Topic>,
  since: string | null = null,
  options: Parameters<typeof subscriber>[1] = {},
): Promise<Client> {
  return open(topic, subscriber(SHARED, { protocol: "stream", since, ...options }));
}

async function leave(client: Client): Promise<void> {
  client.close(1000, "");
  await client.next();
  await atRest();
}

/** Publishes a message, and leaves. */
async function visit(topic: DurableObjectStub<Topic>, message: string): Promise<void> {
  const source = await open(topic, publisher(SHARED));
  source.send(message);
  await leave(source);
}

test("9.9 a token that ends on a vacant topic leaves the log as it is", async () => {
  using clock = new Clock();
  const topic = freshTopic();
  const reader = await listen(topic);
  await frame(reader);
  await listen(topic, null, { grant: tokenGrant(clock.nowMs + 60_000) });
  await visit(topic, "one");
  const { cursor } = await frame(reader);
  await clock.advance(120_000, topic);
  const back = await listen(topic, cursor);
  expect(await frame(back)).toEqual({ type: "open", cursor, recovered: true });
});

test.each(["who was there before", "who came later"])(
  "9.9 a topic that slept without a publisher tells no gap; %s carries its place",
  async (who) => {
    const topic = freshTopic();
    const reader = await listen(topic);
    const { cursor: first } = await frame(reader);
    if (who === "who came later") {
      await listen(topic);
      await leave(reader);
    }
    await evict(topic);
    const waiting = await listen(topic, first);
    expect(await frame(waiting)).toMatchObject({ type: "open", cursor: first, recovered: true });
    await visit(topic, "one");
    const { cursor } = await frame(waiting);
    await evict(topic);
    const back = await listen(topic, cursor);
    expect(await frame(back)).toMatchObject({ type: "open", cursor, recovered: true });
    await visit(topic, "two");
    expect(await frame(back)).toMatchObject({ type: "messages", messages: ["two"] });
  },
);

test("9.1 an older place that somebody carried is never gone on from", async () => {
  const topic = freshTopic();
  const [one, other] = [await listen(topic), await listen(topic)];
  await frame(one);
  await visit(topic, "one");
  await evict(topic);
  await visit(topic, "two");
  const { cursor: second } = await lastFrame(one, 2);
  await leave(one);
  await evict(topic);
  const back = await listen(topic, second);
  expect(await frame(back)).toMatchObject({ type: "open", cursor: second, recovered: true });
  await visit(topic, "three");
  expect(await frame(back)).toMatchObject({ type: "messages", messages: ["three"] });
  void other;
});

async function lastFrame(client: Client, count: number): Promise<Frame> {
  for (let n = 1; n < count; n++) await frame(client);
  return frame(client);
}

test("11.1 the bound of the backlog stays when the last publisher of a shared topic has left", async () => {
  const topic = freshTopic();
  const source = await open(topic, publisher({ ...SHARED, maxBacklogBytes: 8 * 1024 * 1024 }));
  const reader = await open(topic, subscriber(null, { protocol: "stream" }));
  const { cursor } = await frame(reader);
  // What it does not acknowledge from now on is its backlog.
  reader.send(JSON.stringify({ type: "ack", cursor }));
  const large = "x".repeat(1_000_000);
  for (const message of [large, large, large, "last"]) source.send(message);
  await leave(source);
  const received: string[] = [];
  while (received.length < 4) received.push(...((await frame(reader)).messages ?? []));
  expect(received.at(-1)).toBe("last");
});

const DEAD: KeyStanding = { type: "dead" };

test.each<[string, (topic: DurableObjectStub<Topic>) => Promise<{ readonly isLive: boolean }>]>([
  [
    "which corrects its register",
    async (topic) => ({ isLive: (await topic.audit()).life !== null }),
  ],
  [
    "which tells of a key",
    (topic) => topic.applyChange({ type: "key", keyId: 7, standing: DEAD, atMs: 1, number: 1 }),
  ],
  ["of version 0.1", (topic) => topic.applyKey(7, DEAD)],
])("5.8 its domain begins the grace as well: one %s", async (_, tell) => {
  const topic = freshTopic();
  await open(topic, publisher({ graceSeconds: 60 }));
  await atRest();
  await crash(topic);
  expect((await tell(topic)).isLive).toBe(true);
  expect(await topic.describe()).toMatchObject({ phase: "grace" });
});

test("9.8 a log that has outlived its time leaves an epoch that those who wait sleep with", async () => {
  using clock = new Clock();
  const topic = freshTopic();
  const source = await open(topic, publisher({ ...SHARED, historySeconds: 60 }));
  const reader = await open(topic, subscriber(null, { protocol: "stream" }));
  source.send("one");
  await lastFrame(reader, 2);
  await leave(source);
  await clock.advance(3_600_000, topic);
  const { cursor } = await frame(await listen(topic));
  await evict(topic);
  expect(await frame(await listen(topic, cursor))).toMatchObject({ cursor, recovered: true });
});

test("16.1 12.10 what a vacant topic has heard of its domain is no answer by itself", async () => {
  const { domain, topic: topicOf } = freshDomain();
  const topic = topicOf();
  const source = await open(topic, publisher(SHARED));
  // It keeps the object in memory.
  const reader = await open(topic, subscriber(null, { grant: tokenGrant(Date.now() + 3_600_000) }));
  const [before, atMs] = [later(), later()];
  await domain.changePolicy({ ...DEFAULT_POLICY, ...SHARED, subscribers: "token" }, atMs);
  await leave(source);
  expect(await topic.describe()).toMatchObject({ phase: "vacant", subscribers: 1 });
  const joining = (policyAtMs: number): ReturnType<typeof subscriber> =>
    subscriber(SHARED, { policyAtMs, isFresh: false });
  expect(await answerOf(ask(topic, subscriber()))).toBe("needs policy");
  expect(await answerOf(ask(topic, joining(before)))).toBe("token-required");
  // An operator has opened it since, by hand.
  expect(await answerOf(ask(topic, joining(atMs + 1)))).toBe(null);
  void reader;
});

test("5.8 an operator's look does not begin the grace after a restart; the first client does", async () => {
  using clock = new Clock();
  const topic = freshTopic();
  await open(topic, publisher({ graceSeconds: 60 }));
  await atRest();
  await crash(topic);
  expect(await topic.describe()).toEqual({ phase: "live", publishers: 0, subscribers: 0 });
  await clock.advance(3_600_000, topic);
  expect(await topic.describe()).toMatchObject({ phase: "live" });
  const reader = await open(topic, subscriber());
  expect(await topic.describe()).toMatchObject({ phase: "grace" });
  await clock.advance(61_000, topic);
  expect(await reader.next()).toEqual({ code: 1000, reason: "topic-ended" });
});
