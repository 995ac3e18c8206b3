/** What is done with many sockets at once is done some at a time, so that the loop turns in between: ends, closes, wakes. */
import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { expect, test, vi } from "vitest";
import type { Policy } from "../../../src/core/policy.ts";
import type { Topic } from "../../../src/topic/topic.ts";
import { Clock } from "../../support-in-workerd/clock.ts";
import { keyGrant } from "../support/grants.ts";
import { later } from "../support/later.ts";
import {
  hubSockets,
  open,
  publisher,
  subscriber,
  type Client,
  type Received,
} from "../support/sockets.ts";
import { NOTHING, storedIn } from "../support/stored.ts";
import { evict, freshTopic, wake } from "../support/topics.ts";

const TOPIC_ENDED = { code: 1000, reason: "topic-ended" };
const TOKEN_REQUIRED = { code: 4501, reason: "token-required" };
const TOKEN_EXPIRED = { code: 4401, reason: "token-expired" };
const KEY_REJECTED = { code: 4501, reason: "key-rejected" };
const AT_ONCE: Partial<Policy> = { graceSeconds: 0 };
/** More than one slice of anything. */
const MANY = 300;

/** Counts, from now on, what is done to the hub's ends of subscribers' sockets. */
function countCalls(ctx: DurableObjectState, method: "close" | "send"): () => number {
  let calls = 0;
  for (const socket of hubSockets(ctx, "subscriber")) {
    const original = socket[method].bind(socket) as (...args: unknown[]) => void;
    socket[method] = (...args: unknown[]) => {
      calls += 1;
      original(...args);
    };
  }
  return () => calls;
}

function codeOf(received: Received): number {
  return typeof received === "object" && "code" in received ? received.code : NaN;
}

/** Notes with what a socket is closed from now on. */
function watchCloses(socket: WebSocket): { readonly closed: readonly unknown[][] } {
  const closed: unknown[][] = [];
  const close = socket.close.bind(socket);
  socket.close = (...args) => {
    closed.push(args);
    close(...args);
  };
  return { closed };
}

async function openMany(
  topic: DurableObjectStub<Topic>,
  options: Parameters<typeof subscriber>[1] = {},
): Promise<Client[]> {
  return Promise.all(Array.from({ length: MANY }, () => open(topic, subscriber(null, options))));
}

test("an end detaches all at once, and closes them some at a time", async () => {
  const topic = freshTopic();
  await open(topic, publisher(AT_ONCE));
  const clients = await openMany(topic);
  const closed = await runInDurableObject(topic, (instance, ctx) => {
    const calls = countCalls(ctx, "close");
    const [source] = hubSockets(ctx, "publisher");
    if (source === undefined) throw new Error("There is no publisher");
    instance.webSocketClose(source, 1000, "");
    expect(instance.describe()).toMatchObject({ phase: "vacant", subscribers: 0 });
    return calls();
  });
  expect(closed).toBeGreaterThan(0);
  expect(closed).toBeLessThan(MANY / 4);
  for (const client of clients) expect(await client.next()).toEqual(TOPIC_ENDED);
  await vi.waitFor(async () => expect(await storedIn(topic)).toEqual(NOTHING));
});

test("an end sends what is due some at a time", async () => {
  const topic = freshTopic();
  await open(topic, publisher({ ...AT_ONCE, maxBacklogBytes: 4_194_304 }));
  const clients = await openMany(topic);
  const sent = await runInDurableObject(topic, (instance, ctx) => {
    // For one, less than its policy lets wait, and more than another may.
    const [slow] = hubSockets(ctx, "subscriber");
    if (slow === undefined) throw new Error("There is no subscriber");
    Object.defineProperty(slow, "bufferedAmount", { value: 2_000_000 });
    const calls = countCalls(ctx, "send");
    const [source] = hubSockets(ctx, "publisher");
    if (source === undefined) throw new Error("There is no publisher");
    for (const text of ["1", "2", "3"]) instance.webSocketMessage(source, text);
    instance.webSocketClose(source, 1000, "");
    return calls();
  });
  expect(sent).toBeLessThan(MANY);
  for (const client of clients) expect(await client.take(4)).toEqual(["1", "2", "3", TOPIC_ENDED]);
});

test("16.3 strangers get nothing any more at once, and are closed some at a time", async () => {
  const topic = freshTopic();
  const source = await open(topic, publisher());
  const clients = await openMany(topic);
  const closed = await runInDurableObject(topic, (instance, ctx) => {
    const calls = countCalls(ctx, "close");
    const { policy } = publisher({ subscribers: "token" });
    const heard = instance.applyChange({ type: "policy", policy, atMs: later(), number: 1 });
    expect(heard.closed).toBe(MANY);
    return calls();
  });
  expect(closed).toBeGreaterThan(0);
  expect(closed).toBeLessThan(MANY / 4);
  source.send("secret");
  for (const client of clients) expect(await client.next()).toEqual(TOKEN_REQUIRED);
});

/** Who is closed at once, and how many are still members then. */
async function closeMany(
  topic: DurableObjectStub<Topic>,
  close: (instance: Topic) => unknown,
): Promise<void> {
  const closed = await runInDurableObject(topic, async (instance, ctx) => {
    const calls = countCalls(ctx, "close");
    await close(instance);
    expect(instance.describe()).toMatchObject({ subscribers: 0 });
    return calls();
  });
  expect(closed).toBeGreaterThan(0);
  expect(closed).toBeLessThan(MANY / 4);
}

test("12.7 those of a revoked key get nothing any more at once, and are closed some at a time", async () => {
  const topic = freshTopic();
  const source = await open(topic, publisher());
  const clients = await openMany(topic, { grant: keyGrant() });
  const change = { type: "key", keyId: 1, standing: { type: "dead" } } as const;
  await closeMany(topic, (instance) =>
    expect(instance.applyChange({ ...change, atMs: later(), number: 1 })).toMatchObject({
      closed: MANY,
      holdsKey: false,
    }),
  );
  source.send("secret");
  for (const client of clients) expect(await client.next()).toEqual(KEY_REJECTED);
});

test("8.2 who leaves before its turn to be closed is answered with its own code, and not closed as well", async () => {
  const topic = freshTopic();
  await open(topic, publisher());
  const clients = await openMany(topic, { grant: keyGrant() });
  const change = { type: "key", keyId: 1, standing: { type: "dead" } } as const;
  const own = { code: 4000, reason: "my own" };
  const closes = await runInDurableObject(topic, (instance, ctx) => {
    const all = hubSockets(ctx, "subscriber").map((socket) => ({ socket, ...watchCloses(socket) }));
    instance.applyChange({ ...change, atMs: later(), number: 1 });
    const waiting = all.find(({ closed }) => closed.length === 0);
    if (waiting === undefined) throw new Error("All were closed at once");
    instance.webSocketClose(waiting.socket, own.code, own.reason);
    return waiting.closed;
  });
  const codes = await Promise.all(clients.map((client) => client.next()));
  const others = Array.from({ length: MANY - 1 }, () => KEY_REJECTED);
  expect(codes.toSorted((one, other) => codeOf(one) - codeOf(other))).toEqual([own, ...others]);
  expect(closes).not.toContainEqual([KEY_REJECTED.code, KEY_REJECTED.reason]);
});

test.each([
  { name: "key", grant: keyGrant, close: KEY_REJECTED },
  { name: "token", grant: { keyId: null, subject: "somebody" }, close: TOKEN_EXPIRED },
])("13.6 those whose $name expires are closed some at a time", async ({ grant, close }) => {
  using clock = new Clock();
  const topic = freshTopic();
  await open(topic, publisher());
  const expiring = { expiresAtMs: clock.nowMs + 60_000, checkedAtMs: later() };
  const granted = typeof grant === "function" ? grant(expiring) : { ...grant, ...expiring };
  const clients = await openMany(topic, { grant: granted });
  await clock.advance(60_000);
  await closeMany(topic, (instance) => instance.alarm());
  for (const client of clients) expect(await client.next()).toEqual(close);
});

test("16.3 strangers that a policy closed and a sleep kept are closed on waking", async () => {
  const topic = freshTopic();
  await open(topic, publisher());
  const client = await open(topic, subscriber());
  await runInDurableObject(topic, (_, { storage }) => {
    const stored = storage.kv.get<{ state: { policy: Policy } }>("state");
    const { policy = {} } = stored?.state ?? {};
    const state = { ...stored?.state, policy: { ...policy, subscribers: "token" } };
    storage.kv.put("state", { ...stored, state });
  });
  await evict(topic);
  await wake(topic);
  expect(await client.next()).toEqual(TOKEN_REQUIRED);
});

test("a wake takes its sockets back some at a time", async () => {
  const topic = freshTopic();
  const source = await open(topic, publisher());
  const clients = await openMany(topic);
  await evictDurableObject(topic);
  let waits = 0;
  const wait = scheduler.wait.bind(scheduler);
  scheduler.wait = (...args) => {
    waits += 1;
    return wait(...args);
  };
  try {
    await wake(topic);
    // Their attachments are read in slices of 32, and they are served again in slices of 64.
    expect(waits).toBeGreaterThanOrEqual(9 + 4);
  } finally {
    scheduler.wait = wait;
  }
  source.send("good morning");
  for (const client of clients) expect(await client.next()).toBe("good morning");
});
