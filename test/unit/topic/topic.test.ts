/**
 * The Topic object over real sockets. Every test runs twice: as it is, and with the object evicted
 * between its steps (sockets hibernate, memory is lost).
 */
import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { describe, expect, test } from "vitest";
import type { Topic } from "../../../src/topic/topic.ts";
import { Clock } from "../../support-in-workerd/clock.ts";
import { freshStub } from "../../support-in-workerd/fresh-stub.ts";
import { evict, freshTopic, wake } from "../support/topics.ts";
import {
  answerOf,
  ask,
  open,
  publisher,
  subscriber,
  upgradeRequest,
  hubSockets,
} from "../support/sockets.ts";

/** Moves the stored deadline into the past: the alarm is then late, without waiting for it. */
async function passDeadline(topic: DurableObjectStub<Topic>): Promise<void> {
  await runInDurableObject(topic, (_, { storage }) => {
    const stored = storage.kv.get<{ v: 1; state: { deadlineMs: number } }>("state");
    if (stored === undefined) throw new Error("Nothing is stored");
    storage.kv.put("state", { ...stored, state: { ...stored.state, deadlineMs: Date.now() - 1 } });
  });
  await evictDurableObject(topic);
}

function phaseOf(topic: DurableObjectStub<Topic>): Promise<string> {
  return runInDurableObject(topic, (_, { storage }) => {
    return storage.kv.get<{ state: { phase: string } }>("state")?.state.phase ?? "vacant";
  });
}

describe.each([
  { name: "awake", settle: wake },
  { name: "evicted between steps", settle: evict },
])("Topic, $name", ({ settle }) => {
  test("relays text and binary to every subscriber, byte for byte and in order", async () => {
    const topic = freshTopic();
    const source = await open(topic, publisher());
    const subscribers = [await open(topic, subscriber()), await open(topic, subscriber())];
    await settle(topic);
    const binary = new Uint8Array([0, 255, 128, 10]).buffer;
    for (const message of ["a", "", "😀", binary, new ArrayBuffer(0), "z"]) source.send(message);
    for (const client of subscribers) {
      expect(await client.take(6)).toEqual(["a", "", "😀", binary, new ArrayBuffer(0), "z"]);
    }
  });

  test("keeps the order over many rounds, for those who join in between too", async () => {
    const topic = freshTopic();
    const source = await open(topic, publisher());
    const early = await Promise.all(Array.from({ length: 60 }, () => open(topic, subscriber())));
    await settle(topic);
    for (let n = 0; n < 200; n++) source.send(String(n));
    const late = await open(topic, subscriber());
    for (let n = 200; n < 400; n++) source.send(String(n));
    const all = Array.from({ length: 400 }, (_, n) => String(n));
    for (const client of early) expect(await client.take(400)).toEqual(all);
    // A newcomer sees an unbroken end of the stream.
    const first = Number(await late.next());
    expect(first).toBeLessThanOrEqual(200);
    expect(await late.take(399 - first)).toEqual(all.slice(first + 1));
  });

  test("sends a publisher nothing and ignores what subscribers send", async () => {
    const topic = freshTopic();
    const source = await open(topic, publisher());
    const [chatty, quiet] = [await open(topic, subscriber()), await open(topic, subscriber())];
    await settle(topic);
    chatty.send("from a subscriber");
    source.send("from the publisher");
    expect(await quiet.next()).toBe("from the publisher");
    expect(await chatty.next()).toBe("from the publisher");
    source.close(1000, "done");
    // The first thing a publisher ever hears is the answer to its own close.
    expect(await source.next()).toEqual({ code: 1000, reason: "done" });
  });

  test("answers heartbeats itself and relays none", async () => {
    const topic = freshTopic();
    const source = await open(topic, publisher());
    const client = await open(topic, subscriber());
    await settle(topic);
    source.send("wspubsub:ping");
    expect(await source.next()).toBe("wspubsub:pong");
    client.send("wspubsub:ping");
    expect(await client.next()).toBe("wspubsub:pong");
    source.send("after");
    expect(await client.next()).toBe("after");
  });

  test.each([
    [1000, "bye"],
    [1001, ""],
    [3999, "library"],
    [4000, "own"],
  ])("answers a close with the peer's code: %d", async (code, reason) => {
    const topic = freshTopic();
    const source = await open(topic, publisher());
    const client = await open(topic, subscriber());
    await settle(topic);
    client.close(code, reason);
    expect(await client.next()).toEqual({ code, reason });
    source.close(code, reason);
    expect(await source.next()).toEqual({ code, reason });
  });

  test("refuses a second publisher and serves the first on", async () => {
    const topic = freshTopic();
    const source = await open(topic, publisher());
    const client = await open(topic, subscriber());
    await settle(topic);
    expect(await answerOf(ask(topic, publisher()))).toBe("publisher-conflict");
    source.send("still here");
    expect(await client.next()).toBe("still here");
  });

  test("asks for the policy before it turns a subscriber of a vacant topic down", async () => {
    const topic = freshTopic();
    await settle(topic);
    expect(await answerOf(ask(topic, subscriber()))).toBe("needs policy");
    expect(await answerOf(ask(topic, subscriber({})))).toBe("topic-not-live");
  });

  test("lets another publisher take over within the grace period; subscribers notice nothing", async () => {
    const topic = freshTopic();
    const first = await open(topic, publisher());
    const client = await open(topic, subscriber());
    await settle(topic);
    first.send("1");
    expect(await client.next()).toBe("1");
    first.close(1000);
    await first.next();
    await settle(topic);
    expect(await phaseOf(topic)).toBe("grace");
    const late = await open(topic, subscriber());
    const second = await open(topic, publisher());
    await settle(topic);
    // The alarm of the grace period fires all the same, and finds nothing to end.
    await runDurableObjectAlarm(topic);
    second.send("2");
    expect(await client.next()).toBe("2");
    expect(await late.next()).toBe("2");
  });

  test("ends the topic when the deadline passes, and starts over", async () => {
    const topic = freshTopic();
    const first = await open(topic, publisher());
    const client = await open(topic, subscriber());
    first.send("last words");
    first.close(1000);
    await first.next();
    await settle(topic);
    // Too early: nothing ends, and the alarm is set again.
    expect(await runDurableObjectAlarm(topic)).toBe(true);
    expect(await phaseOf(topic)).toBe("grace");
    await passDeadline(topic);
    expect(await runDurableObjectAlarm(topic)).toBe(true);
    expect(await client.take(2)).toEqual(["last words", { code: 1000, reason: "topic-ended" }]);
    // Twice: nothing is left to do.
    expect(await runDurableObjectAlarm(topic)).toBe(false);
    expect(await phaseOf(topic)).toBe("vacant");
    expect(await answerOf(ask(topic, subscriber({})))).toBe("topic-not-live");

    const second = await open(topic, publisher());
    await settle(topic);
    expect(await phaseOf(topic)).toBe("live");
    const next = await open(topic, subscriber());
    second.send("again");
    expect(await next.next()).toBe("again");
  });

  test("ends a topic whose alarm was lost at the next arrival", async () => {
    const topic = freshTopic();
    const first = await open(topic, publisher());
    const client = await open(topic, subscriber());
    first.close(1000);
    await first.next();
    await passDeadline(topic);
    await settle(topic);
    const second = await open(topic, publisher());
    expect(await client.next()).toEqual({ code: 1000, reason: "topic-ended" });
    const next = await open(topic, subscriber());
    second.send("new life");
    expect(await next.next()).toBe("new life");
  });

  test("keeps nothing stored once it is vacant", async () => {
    const topic = freshTopic();
    const source = await open(topic, publisher({ graceSeconds: 0 }));
    await settle(topic);
    source.close(1000);
    await source.next();
    const left = await runInDurableObject(topic, async (_, { storage }) => ({
      keys: [...storage.kv.list()].length,
      alarm: await storage.getAlarm(),
    }));
    expect(left).toEqual({ keys: 0, alarm: null });
  });

  test("takeover displaces the incumbent", async () => {
    const topic = freshTopic();
    const incumbent = await open(topic, publisher());
    const client = await open(topic, subscriber());
    await settle(topic);
    const successor = await open(topic, publisher({}, { takeover: true }));
    await settle(topic);
    successor.send("new");
    expect(await client.next()).toBe("new");
    expect(await incumbent.next()).toEqual({ code: 4509, reason: "publisher-displaced" });
    await settle(topic);
    // Its leaving is not the successor's.
    expect(await phaseOf(topic)).toBe("live");
    expect(await answerOf(ask(topic, publisher()))).toBe("publisher-conflict");
    successor.send("newer");
    expect(await client.next()).toBe("newer");
  });

  test("fences out what a displaced publisher had under way", async () => {
    const topic = freshTopic();
    await open(topic, publisher());
    const client = await open(topic, subscriber());
    await settle(topic);
    await runInDurableObject(topic, (instance, ctx) => {
      const [displaced] = hubSockets(ctx, "publisher");
      if (displaced === undefined) throw new Error("There is no publisher");
      void instance.fetch(upgradeRequest(publisher({}, { takeover: true })));
      instance.webSocketMessage(displaced, "late");
    });
    await settle(topic);
    const successor = await open(topic, publisher({}, { takeover: true }));
    successor.send("new");
    expect(await client.next()).toBe("new");
  });

  test("an incumbent that declared heartbeats and missed three loses to any newcomer", async () => {
    const topic = freshTopic();
    const client0 = await open(topic, publisher({}, { heartbeatSeconds: 300 }));
    await settle(topic);
    expect(await answerOf(ask(topic, publisher()))).toBe("publisher-conflict");
    // It connected long ago, and sent no heartbeat since.
    await runInDurableObject(topic, (_, ctx) => {
      for (const socket of hubSockets(ctx, "publisher")) {
        socket.serializeAttachment({ ...socket.deserializeAttachment(), connectedAtMs: 0 });
      }
    });
    await evictDurableObject(topic);
    const successor = await open(topic, publisher());
    expect(await client0.next()).toEqual({ code: 4509, reason: "publisher-displaced" });
    const client = await open(topic, subscriber());
    successor.send("mine now");
    expect(await client.next()).toBe("mine now");
  });

  test("closes a publisher whose message is too large, and nobody else", async () => {
    const topic = freshTopic();
    const source = await open(topic, publisher({ maxMessageBytes: 4 }));
    const client = await open(topic, subscriber());
    await settle(topic);
    source.send("four");
    source.send("é".repeat(2));
    source.send(new ArrayBuffer(4));
    source.send("é".repeat(3));
    expect(await client.take(3)).toEqual(["four", "éé", new ArrayBuffer(4)]);
    expect(await source.next()).toEqual({ code: 1009, reason: "message-too-large" });
    const successor = await open(topic, publisher());
    successor.send("next");
    expect(await client.next()).toBe("next");
  });

  test("a shared topic has many publishers, waiting subscribers, and no end", async () => {
    const topic = freshTopic();
    const shared = { publishers: "shared" } as const;
    const waiting = await open(topic, subscriber(shared));
    await settle(topic);
    const [a, b] = [await open(topic, publisher(shared)), await open(topic, publisher(shared))];
    await settle(topic);
    a.send("from a");
    expect(await waiting.next()).toBe("from a");
    a.close(1000);
    await a.next();
    b.send("from b");
    expect(await waiting.next()).toBe("from b");
    b.close(1000);
    await b.next();
    await settle(topic);
    expect(await runInDurableObject(topic, (_, { storage }) => storage.getAlarm())).toBe(null);
    const c = await open(topic, publisher(shared));
    c.send("from c");
    expect(await waiting.next()).toBe("from c");
  });

  test("a publisher that vanishes begins the grace period", async () => {
    const topic = freshTopic();
    const source = await open(topic, publisher());
    const client = await open(topic, subscriber());
    await wake(topic);
    await evictDurableObject(topic, { webSockets: "close" });
    expect(await client.next()).toHaveProperty("code", 1006);
    // The topic was live when every socket was lost: who comes back first may find it so.
    const back = await open(topic, subscriber());
    expect(await phaseOf(topic)).toBe("grace");
    await settle(topic);
    const successor = await open(topic, publisher());
    successor.send("back");
    expect(await back.next()).toBe("back");
    expect(await source.next()).toHaveProperty("code", 1006);
  });

  test("serves the others when one subscriber is gone", async () => {
    const topic = freshTopic();
    const source = await open(topic, publisher());
    const clients = await Promise.all(Array.from({ length: 5 }, () => open(topic, subscriber())));
    await settle(topic);
    const [gone, ...rest] = clients;
    gone?.close(1001);
    for (let n = 0; n < 50; n++) source.send(String(n));
    for (const client of rest) {
      expect(await client.take(50)).toEqual(Array.from({ length: 50 }, (_, n) => String(n)));
    }
  });
});

test.each([
  ["state", (ctx: DurableObjectState) => ctx.storage.kv.put("state", { v: 99, phase: "dancing" })],
  [
    "attachment",
    (ctx: DurableObjectState) => {
      for (const socket of ctx.getWebSockets()) socket.serializeAttachment({ v: 99, who: "?" });
    },
  ],
])("8.1 sockets with a %s that another version wrote are told to reconnect", async (_, rewrite) => {
  const topic = freshTopic();
  const old = [await open(topic, publisher({ graceSeconds: 0 })), await open(topic, subscriber())];
  await runInDurableObject(topic, (__, ctx) => rewrite(ctx));
  await evictDurableObject(topic);
  expect(await answerOf(ask(topic, subscriber({})))).toBe("topic-not-live");
  for (const client of old) {
    expect(await client.next()).toEqual({ code: 1012, reason: "service-restart" });
  }
  const source = await open(topic, publisher());
  const client = await open(topic, subscriber());
  source.send("works");
  expect(await client.next()).toBe("works");
});

test("5.2 a grace that began while the clock was ahead is due in time after a wake", async () => {
  using clock = new Clock();
  const topic = freshTopic();
  clock.set(clock.nowMs + 3_600_000);
  const source = await open(topic, publisher());
  const reader = await open(topic, subscriber());
  source.close(1000);
  await source.next();
  await wake(topic);
  clock.set(clock.nowMs - 3_600_000);
  await evict(topic);
  await clock.advance(10_000, freshStub(topic));
  expect(await reader.next()).toEqual({ code: 1000, reason: "topic-ended" });
});
