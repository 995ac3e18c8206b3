/** PROTOCOL.md, 9.12, on the object itself: who waits for a topic to start, awake and asleep. */
import { runInDurableObject } from "cloudflare:test";
import { describe, expect, test, vi } from "vitest";
import type { Policy } from "../../../src/core/policy.ts";
import type { Topic } from "../../../src/topic/topic.ts";
import { Clock } from "../../support-in-workerd/clock.ts";
import { freshStub } from "../../support-in-workerd/fresh-stub.ts";
import { keyGrant, tokenGrant } from "../support/grants.ts";
import { later } from "../support/later.ts";
import { nextFrame } from "../support/next-frame.ts";
import { answerOf, ask, hubSockets, open, publisher, subscriber } from "../support/sockets.ts";
import type { Client } from "../support/sockets.ts";
import { post } from "../support/posts.ts";
import { NOTHING, storedIn } from "../support/stored.ts";
import { evict, freshDomain, freshTopic, wake } from "../support/topics.ts";

const NOT_LIVE = { code: 4404, reason: "topic-not-live" };

type Stub = DurableObjectStub<Topic>;
type Options = NonNullable<Parameters<typeof subscriber>[1]>;

function waits(seconds = 60, options: Options = {}, policy: Partial<Policy> = {}, client = 1) {
  return subscriber(policy, { protocol: "stream", wait: { seconds, client }, ...options });
}

function openWaiting(topic: Stub, ...asked: Parameters<typeof waits>): Promise<Client> {
  return open(freshStub(topic), waits(...asked));
}

function alarmOf(topic: Stub): Promise<number | null> {
  return runInDurableObject(freshStub(topic), (_, { storage }) => storage.getAlarm());
}

async function publish(topic: Stub, messages: readonly string[], policy: Partial<Policy> = {}) {
  const source = await open(freshStub(topic), publisher(policy));
  for (const message of messages) source.send(message);
  return source;
}

/** What a subscriber has been given, up to so many messages. */
async function messagesOf(client: Client, count: number): Promise<unknown[]> {
  const messages: unknown[] = [];
  while (messages.length < count) {
    const frame = await nextFrame(client);
    if (frame.type !== "messages") throw new Error(`Not messages: ${frame.type}`);
    messages.push(...frame.messages);
  }
  return messages;
}

describe.each(["awake", "asleep"])("who waits for a topic to start, %s", (how) => {
  const rest = (topic: Stub): Promise<void> => (how === "asleep" ? evict(topic) : wake(topic));

  test("9.12 gets what follows its start, of a stream after open, raw or by a post", async () => {
    const topic = freshTopic();
    const stream = await openWaiting(topic);
    const raw = await openWaiting(topic, 60, { protocol: "raw" });
    await rest(topic);
    const source = await publish(topic, ["a", "b"]);
    expect(await nextFrame(stream)).toMatchObject({ type: "open", recovered: null });
    expect(await messagesOf(stream, 2)).toEqual(["a", "b"]);
    expect(await raw.take(2)).toEqual(["a", "b"]);
    expect(await freshStub(topic).describe()).toMatchObject({ phase: "live", subscribers: 2 });
    void source;
  });

  test("9.12 begins where it asked to, and is told of a gap", async () => {
    const topic = freshTopic();
    const earliest = await openWaiting(topic, 60, { since: "earliest" });
    const lost = await openWaiting(topic, 60, { since: "k3x9q0v7h2ma-41" });
    const closing = await openWaiting(topic, 60, { since: "k3x9q0v7h2ma-41", gap: "close" });
    await rest(topic);
    const source = await publish(topic, []);
    expect(await nextFrame(earliest)).toMatchObject({ type: "open", recovered: true });
    expect(await nextFrame(lost)).toMatchObject({ type: "open", recovered: false });
    expect(await nextFrame(lost)).toMatchObject({ type: "gap" });
    expect((await closing.take(3)).at(-1)).toEqual({ code: 4510, reason: "history-gap" });
    void source;
  });

  test("9.12 is closed when its time is over, and leaves nothing behind", async () => {
    using clock = new Clock();
    const topic = freshTopic();
    const [short, long] = [await openWaiting(topic, 5), await openWaiting(topic, 60)];
    await rest(topic);
    expect(await storedIn(topic)).toEqual(NOTHING);
    await clock.advance(4000, topic);
    await clock.advance(2000, topic);
    expect(await short.next()).toEqual(NOT_LIVE);
    await rest(topic);
    await clock.advance(54_000, topic);
    await clock.advance(2000, topic);
    expect(await long.next()).toEqual(NOT_LIVE);
    expect(await storedIn(topic)).toEqual(NOTHING);
    expect(await alarmOf(topic)).toBe(null);
  });

  test("9.12 14.3 comes in as far as the domain lets it, whoever came first", async () => {
    using clock = new Clock();
    const topic = freshTopic();
    const one = await openWaiting(topic);
    clock.set(clock.nowMs + 1);
    const other = await openWaiting(topic);
    await rest(topic);
    const source = await publish(topic, ["a"], { maxSubscribers: 1 });
    expect(await nextFrame(one)).toMatchObject({ type: "open" });
    expect(await other.next()).toEqual({ code: 4453, reason: "too-many-subscribers" });
    void source;
  });

  test("9.12 16.3 goes where the domain is private by then, but by a token", async () => {
    const topic = freshTopic();
    const stranger = await openWaiting(topic);
    const grant = tokenGrant(Date.now() + 600_000);
    const holder = await openWaiting(topic, 60, { grant });
    await rest(topic);
    const source = await publish(topic, ["a"], { subscribers: "token" });
    expect(await stranger.next()).toEqual({ code: 4501, reason: "token-required" });
    expect(await nextFrame(holder)).toMatchObject({ type: "open" });
    expect(await messagesOf(holder, 1)).toEqual(["a"]);
    void source;
  });

  test("9.12 13.6 goes when its token ends", async () => {
    using clock = new Clock();
    const topic = freshTopic();
    const grant = tokenGrant(clock.nowMs + 10_000);
    const holder = await openWaiting(topic, 60, { grant });
    await rest(topic);
    await clock.advance(11_000, topic);
    expect(await holder.next()).toEqual({ code: 4401, reason: "token-expired" });
  });

  test("9.12 12.7 goes when its key is revoked, of which its domain tells it", async () => {
    const { domain, topic: named } = freshDomain();
    const topic = named();
    const holder = await openWaiting(topic, 60, { grant: keyGrant() });
    await rest(topic);
    const told = await domain.changeKey(1, { type: "dead" }, later() + 10_000, false);
    expect(told).toMatchObject({ closed: 1 });
    expect(await holder.next()).toEqual({ code: 4501, reason: "key-rejected" });
  });

  test("9.12 11.4 11.5 is heard as subscribers are", async () => {
    const topic = freshTopic();
    const [stream, raw] = [
      await openWaiting(topic),
      await openWaiting(topic, 60, { protocol: "raw" }),
    ];
    await rest(topic);
    stream.send("nonsense");
    expect(await nextFrame(stream)).toMatchObject({ type: "error" });
    expect(await stream.next()).toEqual({ code: 4500, reason: "invalid-frame" });
    for (let n = 0; n <= 120; n++) raw.send("x");
    expect(await raw.next()).toEqual({ code: 4429, reason: "too-many-requests" });
    raw.close();
    const source = await publish(topic, ["a"]);
    expect(await freshStub(topic).describe()).toMatchObject({ subscribers: 0 });
    void source;
  });

  test("9.12 one that leaves gives its place up", async () => {
    const topic = freshTopic();
    const leaving = await openWaiting(topic);
    await rest(topic);
    leaving.close(1000, "");
    await leaving.next();
    await vi.waitFor(() =>
      runInDurableObject(freshStub(topic), (_, ctx) => {
        expect(hubSockets(ctx, "subscriber")).toEqual([]);
      }),
    );
    expect(await storedIn(topic)).toEqual(NOTHING);
    const source = await publish(topic, []);
    expect(await freshStub(topic).describe()).toMatchObject({ subscribers: 0 });
    void source;
  });

  test("9.12 14.16 so many of a client, and so many in all", async () => {
    const topic = freshTopic();
    const here: Client[] = [];
    while (here.length < 256) here.push(await openWaiting(topic, 60, {}, {}, 0));
    await rest(topic);
    const refused = (number: number) => answerOf(ask(freshStub(topic), waits(60, {}, {}, number)));
    expect(await refused(0)).toBe("too-many-waiting");
    while (here.length < 1000)
      here.push(await openWaiting(topic, 60, {}, {}, 1 + Math.floor(here.length / 250)));
    await rest(topic);
    expect(await refused(999)).toBe("too-many-waiting");
    here[0]?.close(1000, "");
    await here[0]?.next();
    const last = await openWaiting(topic, 60, {}, {}, 0);
    expect(await refused(0)).toBe("too-many-waiting");
    const source = await publish(topic, ["a"]);
    for (const each of [...here.slice(1), last]) {
      expect(await nextFrame(each)).toMatchObject({ type: "open" });
      expect(await messagesOf(each, 1)).toEqual(["a"]);
    }
    void source;
  });
});

test("9.12 nobody waits where the domain is not known, or on what is live, in grace or shared", async () => {
  const topic = freshTopic();
  expect(await answerOf(ask(freshStub(topic), { ...waits(), policy: null }))).toBe("needs policy");
  expect(await storedIn(topic)).toEqual(NOTHING);
  expect(await alarmOf(topic)).toBe(null);
  expect(await answerOf(ask(freshStub(topic), subscriber({})))).toBe("topic-not-live");
  const shared = freshTopic();
  const early = await open(shared, waits(1, {}, { publishers: "shared" }));
  expect(await nextFrame(early)).toMatchObject({ type: "open" });
  expect(await alarmOf(shared)).toBe(null);
  const source = await publish(topic, []);
  const first = await openWaiting(topic);
  expect(await nextFrame(first)).toMatchObject({ type: "open" });
  source.close(1000, "");
  await source.next();
  const second = await openWaiting(topic);
  expect(await nextFrame(second)).toMatchObject({ type: "open" });
});

test.each(["a wake", "another one's time"])(
  "9.12 who came while the clock was ahead waits no longer than others: %s",
  async (what) => {
    using clock = new Clock();
    const topic = freshTopic();
    clock.set(clock.nowMs + 3_600_000);
    const early = await openWaiting(topic, 10);
    clock.set(clock.nowMs - 3_600_000);
    if (what === "a wake") await evict(topic);
    else await openWaiting(topic, 1);
    await clock.advance(2000, topic);
    expect(await alarmOf(topic)).toBeGreaterThan(clock.nowMs + 50_000);
    await clock.advance(61_000, topic);
    expect(await early.next()).toEqual(NOT_LIVE);
  },
);

test("9.12 is told so by its handshake, and nobody else is", async () => {
  const topic = freshTopic();
  const waiting = await ask(topic, waits());
  expect(waiting.headers.get("wspubsub-waiting")).toBe("1");
  const source = await publish(topic, []);
  const present = await ask(topic, waits());
  expect(present.status).toBe(101);
  expect(present.headers.get("wspubsub-waiting")).toBe(null);
  for (const { webSocket } of [waiting, present]) webSocket?.accept();
  void source;
});

test("9.12 17.14 gets what a single post starts and ends, and counts in its answer", async () => {
  const topic = freshTopic();
  const client = await openWaiting(topic);
  const answer = await post(freshStub(topic), {}, { messages: ["all"], isFinish: true });
  expect(answer).toMatchObject({ type: "published", count: 1, subscribers: 1 });
  expect(await nextFrame(client)).toMatchObject({ type: "open" });
  expect(await messagesOf(client, 1)).toEqual(["all"]);
  expect(await nextFrame(client)).toEqual({ type: "end", reason: "finished" });
});

test("9.11 9.12 wait is not looked at where since is answered, and outlives what is kept", async () => {
  using clock = new Clock();
  const topic = freshTopic();
  const kept: Partial<Policy> = { graceSeconds: 0, historySeconds: 30 };
  await post(freshStub(topic), kept, { messages: ["old"] });
  const reader = await openWaiting(topic, 60, { since: "earliest" }, kept);
  expect(await nextFrame(reader)).toMatchObject({ type: "open", recovered: true });
  expect(await messagesOf(reader, 1)).toEqual(["old"]);
  expect(await nextFrame(reader)).toMatchObject({ type: "end" });
  const waiting = await openWaiting(topic, 60, {}, kept);
  await clock.advance(45_000, topic);
  await clock.advance(20_000, topic);
  expect(await waiting.next()).toEqual(NOT_LIVE);
});
