/** PROTOCOL.md, 5.6 and 7.7: who is silent gives up its place when somebody needs it, and only then. */
import { describe, expect, test, vi } from "vitest";
import { runInDurableObject } from "cloudflare:test";
import { HEARTBEAT_REQUEST, HEARTBEAT_RESPONSE } from "../../../src/core/heartbeat.ts";
import type { Policy } from "../../../src/core/policy.ts";
import type { Topic } from "../../../src/topic/topic.ts";
import { Clock } from "../../support-in-workerd/clock.ts";
import {
  answerOf,
  ask,
  open,
  publisher,
  subscriber,
  type Client,
  hubSockets,
} from "../support/sockets.ts";
import { evict, freshTopic, wake } from "../support/topics.ts";

const DISPLACED = { code: 4509, reason: "publisher-displaced" };
const MISSED = { code: 4408, reason: "heartbeats-missed" };
const SILENCE_MS = 90_000;

async function beat(client: Client): Promise<void> {
  client.send(HEARTBEAT_REQUEST);
  expect(await client.next()).toBe(HEARTBEAT_RESPONSE);
}

async function refuse(topic: DurableObjectStub<Topic>): Promise<void> {
  expect(await answerOf(ask(topic, subscriber()))).toBe("too-many-subscribers");
}

/** When the runtime last answered a heartbeat, of each subscriber that sent one, the earliest first. */
function heartbeats(topic: DurableObjectStub<Topic>): Promise<number[]> {
  return runInDurableObject(topic, (_, ctx) =>
    hubSockets(ctx, "subscriber")
      .flatMap((socket) => ctx.getWebSocketAutoResponseTimestamp(socket)?.getTime() ?? [])
      .toSorted((one, other) => one - other),
  );
}
describe.each([
  { name: "awake", settle: wake },
  { name: "evicted between steps", settle: evict },
])("publishers of a shared topic, $name", ({ settle }) => {
  const TWO = { publishers: "shared", maxPublishers: 2 } as const;

  test("5.6 14.3 a silent one gives up its place, the longest silent first, and no other", async () => {
    const topic = freshTopic();
    using clock = new Clock();
    const quiet = await open(topic, publisher(TWO));
    const silent = await open(topic, publisher(TWO, { heartbeatSeconds: 1 }));
    await settle(topic);
    clock.set(clock.nowMs + 3000);
    expect(await answerOf(ask(topic, publisher(TWO)))).toBe("too-many-publishers");
    clock.set(clock.nowMs + 1);
    const next = await open(topic, publisher(TWO, { heartbeatSeconds: 2 }));
    expect(await silent.next()).toEqual(DISPLACED);
    await settle(topic);
    // Who never promised anything keeps its place for ever.
    clock.set(clock.nowMs + 6000);
    expect(await answerOf(ask(topic, publisher(TWO)))).toBe("too-many-publishers");
    clock.set(clock.nowMs + 1);
    await open(topic, publisher(TWO));
    expect(await next.next()).toEqual(DISPLACED);
    const reader = await open(topic, subscriber());
    quiet.send("still here");
    expect(await reader.next()).toBe("still here");
  });

  test("5.6 14.3 of two that are silent one goes for one that comes", async () => {
    const topic = freshTopic();
    using clock = new Clock();
    const first = await open(topic, publisher(TWO, { heartbeatSeconds: 1 }));
    clock.set(clock.nowMs + 1000);
    await open(topic, publisher(TWO, { heartbeatSeconds: 1 }));
    await settle(topic);
    clock.set(clock.nowMs + 60_000);
    await open(topic, publisher(TWO));
    expect(await first.next()).toEqual(DISPLACED);
    expect(await topic.describe()).toMatchObject({ publishers: 2 });
  });

  test("5.6 where there is a place left nobody goes", async () => {
    const topic = freshTopic();
    using clock = new Clock();
    await open(topic, publisher(TWO, { heartbeatSeconds: 1 }));
    await settle(topic);
    clock.set(clock.nowMs + 60_000);
    await open(topic, publisher(TWO));
    expect(await topic.describe()).toMatchObject({ publishers: 2 });
  });
});

describe.each([
  { name: "awake", settle: wake },
  { name: "evicted between steps", settle: evict },
])("subscribers, $name", ({ settle }) => {
  const TWO = { maxSubscribers: 2 };

  test("7.7 14.3 one that sent heartbeats and vanished gives up its place, and no other", async () => {
    const topic = freshTopic();
    using clock = new Clock({ startMs: Date.now() });
    const source = await open(topic, publisher(TWO));
    const vanished = await open(topic, subscriber());
    const quiet = await open(topic, subscriber());
    await beat(vanished);
    const beatenMs = Date.now();
    await settle(topic);
    clock.set(beatenMs + SILENCE_MS - 5000);
    expect(await answerOf(ask(topic, subscriber()))).toBe("too-many-subscribers");
    clock.set(beatenMs + SILENCE_MS + 10_000);
    const next = await open(topic, subscriber());
    expect(await vanished.next()).toEqual(MISSED);
    await settle(topic);
    clock.set(clock.nowMs + 3_600_000);
    expect(await answerOf(ask(topic, subscriber()))).toBe("too-many-subscribers");
    source.send("still here");
    expect([await quiet.next(), await next.next()]).toEqual(["still here", "still here"]);
  });

  test("7.7 nobody goes while there is a place", async () => {
    const topic = freshTopic();
    using clock = new Clock();
    await open(topic, publisher(TWO));
    await beat(await open(topic, subscriber()));
    await settle(topic);
    clock.set(clock.nowMs + 3_600_000);
    await open(topic, subscriber());
    expect(await topic.describe()).toMatchObject({ subscribers: 2 });
  });
});

test("7.7 nobody goes for one that is refused all the same", async () => {
  const topic = freshTopic();
  using clock = new Clock();
  const policy = { maxSubscribers: 2, publishers: "shared" } as const;
  const waiting = [await open(topic, subscriber(policy)), await open(topic, subscriber(policy))];
  for (const client of waiting) await beat(client);
  clock.set(clock.nowMs + 3_600_000);
  const isPrivate = subscriber({ ...policy, subscribers: "token" });
  expect(await answerOf(ask(topic, isPrivate))).toBe("token-required");
  expect(await topic.describe()).toMatchObject({ subscribers: 2 });
  // Where the bound was lowered more than one must go.
  await open(topic, publisher({ ...policy, maxSubscribers: 1 }));
  await open(topic, subscriber());
  for (const client of waiting) expect(await client.next()).toEqual(MISSED);
  expect(await topic.describe()).toMatchObject({ subscribers: 1 });
});

test("7.7 the longest silent goes first", async () => {
  const topic = freshTopic();
  using clock = new Clock();
  await open(topic, publisher({ maxSubscribers: 2 }));
  const [later, earlier] = [await open(topic, subscriber()), await open(topic, subscriber())];
  await beat(earlier);
  const [first] = await heartbeats(topic);
  for (let last = first; last === first; [, last] = await heartbeats(topic)) await beat(later);
  clock.set(clock.nowMs + 3_600_000);
  await open(topic, subscriber());
  expect(await earlier.next()).toEqual(MISSED);
});

/** A full topic on which so many subscribers have vanished, and the looks at its sockets. */
async function fullTopic(policy: Partial<Policy>, vanished: number) {
  const topic = freshTopic();
  await open(topic, publisher({ maxSubscribers: 3 }));
  for (let n = 0; n < 3; n++) {
    const client = await open(topic, subscriber());
    if (n < vanished) await beat(client);
  }
  await open(topic, publisher({ maxSubscribers: 3, ...policy }, { takeover: true }));
  const looks = await runInDurableObject(topic, (instance) => {
    const { ctx } = instance as unknown as { ctx: DurableObjectState };
    const original = ctx.getWebSocketAutoResponseTimestamp.bind(ctx);
    const look = vi.fn<typeof original>((socket) => original(socket));
    Object.defineProperty(ctx, "getWebSocketAutoResponseTimestamp", { value: look });
    return look.mock.calls;
  });
  return { topic, looks };
}

describe("7.7 14.3 strangers at a full topic have its sockets walked once in a while only:", () => {
  test("where nobody has vanished", async () => {
    using clock = new Clock();
    const { topic, looks } = await fullTopic({}, 0);
    await refuse(topic);
    const once = looks.length;
    expect(once).toBeGreaterThan(0);
    for (let n = 0; n < 20; n++) await refuse(topic);
    expect(looks).toHaveLength(once);
    clock.set(clock.nowMs + 9_999);
    await refuse(topic);
    expect(looks).toHaveLength(once);
    clock.set(clock.nowMs + 1);
    await refuse(topic);
    expect(looks).toHaveLength(2 * once);
  });

  test("where too few have", async () => {
    using clock = new Clock();
    const { topic, looks } = await fullTopic({ maxSubscribers: 2 }, 1);
    clock.set(clock.nowMs + 3_600_000);
    await refuse(topic);
    const once = looks.length;
    for (let n = 0; n < 20; n++) await refuse(topic);
    expect(looks).toHaveLength(once);
    expect(await topic.describe()).toMatchObject({ subscribers: 3 });
  });

  test("where one had and was let go", async () => {
    using clock = new Clock();
    const { topic, looks } = await fullTopic({}, 1);
    clock.set(clock.nowMs + 3_600_000);
    await open(topic, subscriber());
    const once = looks.length;
    await refuse(topic);
    expect(looks).toHaveLength(once);
  });
});

test("7.7 a frame that a subscriber sends is a sign of life, too", async () => {
  const topic = freshTopic();
  using clock = new Clock();
  await open(topic, publisher({ maxSubscribers: 1 }));
  const reader = await open(topic, subscriber());
  await beat(reader);
  clock.set(clock.nowMs + 60_000);
  await runInDurableObject(topic, (instance, ctx) => {
    for (const socket of hubSockets(ctx, "subscriber")) instance.webSocketMessage(socket, "here");
  });
  clock.set(clock.nowMs + SILENCE_MS);
  expect(await answerOf(ask(topic, subscriber()))).toBe("too-many-subscribers");
  clock.set(clock.nowMs + 10_001);
  await open(topic, subscriber());
  expect(await reader.next()).toEqual(MISSED);
});
