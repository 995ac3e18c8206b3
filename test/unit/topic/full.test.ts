/** PROTOCOL.md, 14.7 and 14.8: a topic that is full, here with room for few, and who is in even then. */
import { runInDurableObject } from "cloudflare:test";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { formatPublish } from "../../../src/core/client-frame.ts";
import { SOCKET_LIMITS } from "../../../src/topic/socket-limits.ts";
import type { Topic } from "../../../src/topic/topic.ts";
import {
  answerOf,
  ask,
  open,
  publisher,
  subscriber,
  upgradeRequest,
  hubSockets,
} from "../support/sockets.ts";
import { evict, freshTopic, wake } from "../support/topics.ts";

const limits = { ...SOCKET_LIMITS };
// Six in all, and for subscribers four: the real ones would need 32,000 sockets.
beforeEach(() => void Object.assign(SOCKET_LIMITS, { total: 6, publisherRoom: 2 }));
afterEach(() => void Object.assign(SOCKET_LIMITS, limits));

const SHARED = { publishers: "shared" } as const;
const DISPLACED = { code: 4509, reason: "publisher-displaced" };

/** Opens a socket whose client reads nothing and never answers a Close frame. */
async function openMute(
  topic: DurableObjectStub<Topic>,
  admission: Parameters<typeof ask>[1],
): Promise<WebSocket> {
  const { webSocket } = await ask(topic, admission);
  if (webSocket === null) throw new Error("Refused");
  return webSocket;
}

describe.each([
  { name: "awake", settle: wake },
  { name: "evicted between steps", settle: evict },
])("a full topic, $name", ({ settle }) => {
  test("14.7 takes no subscriber, and publishers still", async () => {
    const topic = freshTopic();
    for (let n = 0; n < 4; n++) await open(topic, subscriber(SHARED));
    await settle(topic);
    expect(await answerOf(ask(topic, subscriber(SHARED)))).toBe("topic-full");
    await open(topic, publisher(SHARED));
    await settle(topic);
    await open(topic, publisher(SHARED));
    await settle(topic);
    expect(await answerOf(ask(topic, publisher(SHARED)))).toBe("topic-full");
    expect(await topic.describe()).toMatchObject({ publishers: 2, subscribers: 4 });
  });

  test("14.7 counts sockets that were closed and never answered", async () => {
    const topic = freshTopic();
    await open(topic, publisher(SHARED));
    // A client that reads nothing keeps the object from hibernating: asleep only the mark is left to see.
    for (let n = 0; n < 3; n++) await open(topic, subscriber());
    await runInDurableObject(topic, (_, ctx) => {
      for (const socket of hubSockets(ctx, "subscriber")) {
        socket.serializeAttachment({ v: 1, role: "dismissed" });
      }
    });
    await evict(topic);
    await settle(topic);
    expect(await topic.describe()).toMatchObject({ publishers: 1, subscribers: 0 });
    expect(await answerOf(ask(topic, subscriber()))).toBe("topic-full");
    await open(topic, publisher(SHARED));
    await open(topic, publisher(SHARED));
    expect(await answerOf(ask(topic, publisher(SHARED)))).toBe("topic-full");
  });

  test("14.8 who is displaced counts as free, and one that is not is left alone", async () => {
    Object.assign(SOCKET_LIMITS, { total: 4, publisherRoom: 0 });
    const topic = freshTopic();
    const incumbent = await open(topic, publisher());
    for (let n = 0; n < 3; n++) await open(topic, subscriber());
    await settle(topic);
    expect(await answerOf(ask(topic, subscriber()))).toBe("topic-full");
    expect(await answerOf(ask(topic, publisher()))).toBe("publisher-conflict");
    await open(topic, publisher({}, { takeover: true }));
    expect(await incumbent.next()).toEqual(DISPLACED);
    expect(await topic.describe()).toMatchObject({ publishers: 1, subscribers: 3 });
  });
});

test("14.7 counts sockets that the hub has closed from the moment it has", async () => {
  const topic = freshTopic();
  await open(topic, publisher(SHARED));
  const mute: WebSocket[] = [];
  for (let n = 0; n < 3; n++) {
    mute.push(await openMute(topic, subscriber(null, { protocol: "stream" })));
  }
  // Each is closed for what it sends; none of them ever says goodbye.
  await runInDurableObject(topic, (instance, ctx) => {
    for (const socket of hubSockets(ctx, "subscriber")) instance.webSocketMessage(socket, "?");
  });
  expect(await topic.describe()).toMatchObject({ publishers: 1, subscribers: 0 });
  expect(await answerOf(ask(topic, subscriber()))).toBe("topic-full");
  await open(topic, publisher(SHARED));
  await open(topic, publisher(SHARED));
  expect(await answerOf(ask(topic, publisher(SHARED)))).toBe("topic-full");
  // Their ends were held until now.
  expect(mute).toHaveLength(3);
});

function throwFull(): never {
  throw new Error("too many hibernatable sockets");
}

/** Asks while every `acceptWebSocket` throws. */
function askInVain(
  topic: DurableObjectStub<Topic>,
  admission: Parameters<typeof ask>[1],
): Promise<string | null> {
  return runInDurableObject(topic, async (instance) => {
    const { ctx } = instance as unknown as { ctx: DurableObjectState };
    const own = Object.getOwnPropertyDescriptor(ctx, "acceptWebSocket");
    Object.defineProperty(ctx, "acceptWebSocket", { value: throwFull, configurable: true });
    try {
      return await answerOf(instance.fetch(upgradeRequest(admission)));
    } finally {
      if (own) Object.defineProperty(ctx, "acceptWebSocket", own);
    }
  });
}

describe("when the runtime takes no more, whatever was counted", () => {
  test("14.8 a takeover displaces nobody and changes nothing", async () => {
    const topic = freshTopic();
    const incumbent = await open(topic, publisher());
    const reader = await open(topic, subscriber());
    const takeover = publisher({ graceSeconds: 0 }, { takeover: true, policyAtMs: 1 });
    expect(await askInVain(topic, takeover)).toBe("topic-full");
    incumbent.send("still here");
    expect(await reader.next()).toBe("still here");
    expect(await topic.describe()).toEqual({ phase: "live", publishers: 1, subscribers: 1 });
  });

  test("14.7 no topic starts and nothing stays stored", async () => {
    const topic = freshTopic();
    expect(await askInVain(topic, publisher())).toBe("topic-full");
    expect(await topic.describe()).toMatchObject({ phase: "vacant", publishers: 0 });
    await evict(topic);
    expect(await topic.describe()).toMatchObject({ phase: "vacant", publishers: 0 });
    expect(await askInVain(topic, subscriber(SHARED))).toBe("topic-full");
    const stored = await runInDurableObject(topic, (_, { storage }) =>
      Array.from(storage.kv.list()),
    );
    expect(stored).toEqual([]);
    expect(await topic.describe()).toMatchObject({ phase: "vacant", subscribers: 0 });
  });
});

test("14.3 subscribers that are still being replayed to count", async () => {
  const topic = freshTopic();
  const policy = { historyMessages: 1000, maxSubscribers: 1, maxBacklogBytes: 67_108_864 };
  const source = await open(topic, publisher(policy, { protocol: "stream" }));
  for (let n = 0; n < 20; n++) {
    const messages = ["x".repeat(300_000)];
    source.send(formatPublish({ id: String(n), messages }));
    await source.next();
  }
  // In one turn: the first is given the first batch and no more before the second asks.
  const since = subscriber(null, { since: "earliest" });
  const answers = await runInDurableObject(topic, (instance) =>
    Promise.all(
      [since, subscriber()].map((join) => answerOf(instance.fetch(upgradeRequest(join)))),
    ),
  );
  expect(answers).toEqual([null, "too-many-subscribers"]);
});
