/**
 * PROTOCOL.md, 16.1 to 16.4: what an operator decides holds at once for what is live, and nothing older undoes
 * it. Every test runs twice, the second time with topic and domain evicted between its steps.
 */
import { runInDurableObject } from "cloudflare:test";
import { describe, expect, test, vi } from "vitest";
import { DEFAULT_POLICY, type Policy } from "../../../src/core/policy.ts";
import type { Topic } from "../../../src/topic/topic.ts";
import { Clock } from "../../support-in-workerd/clock.ts";
import { keyGrant, tokenGrant } from "../support/grants.ts";
import { later } from "../support/later.ts";
import { answerOf, ask, open, publisher, subscriber, type Client } from "../support/sockets.ts";
import { evict, freshDomain, wake } from "../support/topics.ts";

const TOKEN_REQUIRED = { code: 4501, reason: "token-required" };
const DISPLACED = { code: 4509, reason: "publisher-displaced" };
const SHARED = { publishers: "shared" } as const;
const LONG_HISTORY = {
  historyMessages: 10_000,
  graceSeconds: 0,
  maxBacklogBytes: 67_108_864,
} as const;
const PRIVATE = { subscribers: "token" } as const;

function policyOf(changes: Partial<Policy>): Policy {
  return { ...DEFAULT_POLICY, ...changes };
}

describe.each([
  { name: "awake", settle: wake },
  { name: "evicted between steps", settle: evict },
])("a policy on a live topic, $name", ({ settle }) => {
  test("16.3 a topic that becomes private closes strangers, and nobody else", async () => {
    const { domain, topic: topicOf } = freshDomain();
    const topic = topicOf();
    const source = await open(topic, publisher(SHARED, { grant: keyGrant() }));
    const byKey = await open(topic, subscriber(null, { grant: keyGrant() }));
    const byToken = await open(
      topic,
      subscriber(null, { grant: tokenGrant(Date.now() + 3_600_000) }),
    );
    const stranger = await open(topic, subscriber());
    await settle(topic);
    await settle(domain);
    const told = await domain.changePolicy(policyOf({ ...SHARED, ...PRIVATE }), later());
    expect(told).toEqual({ closed: 1, told: 1, missed: 0, isHeld: false });
    expect(await stranger.next()).toEqual(TOKEN_REQUIRED);
    await settle(topic);
    expect(await answerOf(ask(topic, subscriber()))).toBe("token-required");
    source.send("in private");
    expect(await byKey.next()).toBe("in private");
    expect(await byToken.next()).toBe("in private");
  });

  test("16.3 strangers who are still being replayed to are closed, too", async () => {
    const { domain, topic: topicOf } = freshDomain();
    const topic = topicOf();
    const history = { historyMessages: 1000, maxBacklogBytes: 67_108_864 };
    const source = await open(topic, publisher(history, { grant: keyGrant() }));
    const reader = await open(topic, subscriber());
    for (let n = 0; n < 20; n++) source.send("x".repeat(300_000));
    await reader.take(20);
    await settle(topic);
    const stranger = await open(topic, subscriber(null, { since: "earliest" }));
    await domain.changePolicy(policyOf({ ...history, ...PRIVATE }), later());
    let item = await stranger.next();
    while (typeof item === "string") item = await stranger.next();
    expect(item).toEqual(TOKEN_REQUIRED);
  });

  test("16.3 a shared topic that becomes exclusive keeps the publisher that was there first", async () => {
    const { domain, topic: topicOf } = freshDomain();
    const topic = topicOf();
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() - 5000 });
    const first = await open(topic, publisher(SHARED, { grant: keyGrant() }));
    vi.useRealTimers();
    const others = [
      await open(topic, publisher(SHARED, { grant: keyGrant() })),
      await open(topic, publisher(SHARED, { grant: keyGrant({ keyId: 2 }) })),
    ];
    const reader = await open(topic, subscriber());
    await settle(topic);
    expect(await domain.changePolicy(policyOf({}), later())).toMatchObject({ closed: 2 });
    for (const other of others) expect(await other.next()).toEqual(DISPLACED);
    await settle(topic);
    first.send("alone");
    expect(await reader.next()).toBe("alone");
    expect(await answerOf(ask(topic, publisher(SHARED, { policyAtMs: 1 })))).toBe(
      "publisher-conflict",
    );
  });

  test("16.3 in grace, a topic that becomes shared does not end", async () => {
    const { domain, topic: topicOf } = freshDomain();
    const topic = topicOf();
    const source = await open(topic, publisher({}, { grant: keyGrant() }));
    const reader = await open(topic, subscriber());
    source.close(1000);
    await source.next();
    await settle(topic);
    await domain.changePolicy(policyOf(SHARED), later());
    expect(await topic.describe()).toEqual({ phase: "vacant", publishers: 0, subscribers: 1 });
    expect(await domain.topics("", 9)).toEqual([]);
    const next = await open(topic, publisher(SHARED, { grant: keyGrant() }));
    next.send("goes on");
    expect(await reader.next()).toBe("goes on");
  });

  test("16.3 in grace, strangers of a topic that becomes shared and private are closed", async () => {
    const { domain, topic: topicOf } = freshDomain();
    const topic = topicOf();
    const source = await open(topic, publisher({}, { grant: keyGrant() }));
    const stranger = await open(topic, subscriber());
    source.close(1000);
    await source.next();
    await settle(topic);
    await domain.changePolicy(policyOf({ ...SHARED, ...PRIVATE }), later());
    expect(await stranger.next()).toEqual(TOKEN_REQUIRED);
  });

  test("16.3 lowered limits close nobody: they refuse newcomers, and hold from the next message", async () => {
    const { domain, topic: topicOf } = freshDomain();
    const topic = topicOf();
    const source = await open(topic, publisher(SHARED, { grant: keyGrant() }));
    const fast = await open(topic, publisher(SHARED, { grant: keyGrant() }));
    const reader = await open(topic, subscriber());
    source.send("12345");
    expect(await reader.next()).toBe("12345");
    await settle(topic);
    const limits = {
      maxPublishers: 1,
      maxSubscribers: 1,
      maxMessageBytes: 4,
      messagesPerSecond: 2,
    };
    const policy = policyOf({ ...SHARED, ...limits });
    expect(await domain.changePolicy(policy, later())).toMatchObject({ closed: 0, told: 1 });
    await settle(topic);
    expect(await answerOf(ask(topic, subscriber()))).toBe("too-many-subscribers");
    const known = { grant: keyGrant(), policyAtMs: 1 };
    expect(await answerOf(ask(topic, publisher(SHARED, known)))).toBe("too-many-publishers");
    source.send("1234");
    expect(await reader.next()).toBe("1234");
    source.send("12345");
    expect(await source.next()).toEqual({ code: 1009, reason: "message-too-large" });
    for (const text of ["a", "b", "c"]) fast.send(text);
    expect(await fast.next()).toEqual({ code: 4429, reason: "too-many-requests" });
  });

  test("16.3 a domain that takes no keys in paths any more takes none from a cache that does not know", async () => {
    const { domain, topic: topicOf } = freshDomain();
    const topic = topicOf();
    await open(topic, publisher(SHARED, { grant: keyGrant() }));
    await domain.changePolicy(policyOf({ ...SHARED, pathKeys: false }), later());
    await settle(topic);
    const old = { grant: keyGrant(), policyAtMs: 1, isFresh: false };
    expect(await answerOf(ask(topic, publisher(SHARED, { ...old, isKeyInPath: true })))).toBe(
      "key-in-path",
    );
    expect(await answerOf(ask(topic, publisher(SHARED, old)))).toBe(null);
  });

  test("16.2 an older policy undoes nothing, whoever brings it", async () => {
    const { domain, topic: topicOf } = freshDomain();
    const topic = topicOf();
    const before = later();
    await open(topic, publisher(SHARED, { grant: keyGrant() }));
    const privately = policyOf({ ...SHARED, ...PRIVATE });
    const changedAtMs = later();
    await domain.changePolicy(privately, changedAtMs);
    await settle(topic);
    await domain.changePolicy(policyOf(SHARED), before);
    await settle(topic);
    const cached = {
      grant: keyGrant(),
      policyAtMs: before,
      isFresh: false,
      isRechecked: false,
    };
    expect(await answerOf(ask(topic, publisher(SHARED, cached)))).toBe(null);
    const fresh = { grant: tokenGrant(Date.now() + 3_600_000), policyAtMs: before };
    expect(await answerOf(ask(topic, subscriber(SHARED, fresh)))).toBe(null);
    await settle(topic);
    expect(await answerOf(ask(topic, subscriber()))).toBe("token-required");
    // Maybe newer, maybe not: Postgres is asked again.
    const doubtful = { ...cached, grant: keyGrant(), policyAtMs: changedAtMs + 2000 };
    expect(await answerOf(ask(topic, publisher(SHARED, doubtful)))).toBe("needs recheck");
    const newer = { ...doubtful, policyAtMs: changedAtMs + 2001 };
    expect(await answerOf(ask(topic, publisher(SHARED, newer)))).toBe(null);
    expect(await answerOf(ask(topic, subscriber()))).toBe(null);
  });

  test("16.1 what a fresh word of Postgres says holds for those who are there, whoever brings it", async () => {
    const { topic: topicOf } = freshDomain();
    for (const join of [
      publisher({ ...SHARED, ...PRIVATE }, { grant: keyGrant() }),
      subscriber({ ...SHARED, ...PRIVATE }, { grant: tokenGrant(Date.now() + 3_600_000) }),
    ]) {
      const topic = topicOf(join.role);
      await open(topic, publisher(SHARED, { grant: keyGrant() }));
      const stranger = await open(topic, subscriber());
      await settle(topic);
      await open(topic, { ...join, policyAtMs: later() });
      expect(await stranger.next()).toEqual(TOKEN_REQUIRED);
    }
  });

  test("16.1 a topic begins with the newest policy that its domain knows, before its first message", async () => {
    const { domain, topic: topicOf } = freshDomain();
    const topic = topicOf();
    const cachedAtMs = later();
    // On a vacant topic strangers wait: it is not told.
    const stranger = await open(topic, subscriber(SHARED));
    const told = await domain.changePolicy(policyOf({ ...SHARED, ...PRIVATE }), later());
    expect(told).toMatchObject({ told: 0 });
    await settle(topic);
    const cached = { grant: keyGrant(), policyAtMs: cachedAtMs, isFresh: false };
    const source = await open(topic, publisher(SHARED, cached));
    source.send("in private");
    expect(await stranger.next()).toEqual(TOKEN_REQUIRED);
    // And who comes by a key to a vacant topic is told by the domain.
    const other = topicOf("other");
    await open(other, subscriber(SHARED, { grant: keyGrant(), policyAtMs: cachedAtMs }));
    expect(await answerOf(ask(other, subscriber(SHARED, { policyAtMs: cachedAtMs })))).toBe(
      "token-required",
    );
  });

  test.each([
    ["switched off", {}],
    ["shorter", { historyMessages: 2 }],
    ["younger", { historyMessages: 100, historySeconds: 60 }],
  ])("16.4 a history is never %s on a cached word", async (_, less) => {
    const { topic: topicOf } = freshDomain();
    const topic = topicOf();
    const kept = { ...SHARED, historyMessages: 100 };
    const source = await open(topic, publisher(kept, { grant: keyGrant(), policyAtMs: 1_000_000 }));
    const reader = await open(topic, subscriber());
    for (const text of ["1", "2", "3"]) source.send(text);
    await reader.take(3);
    await settle(topic);
    const policy = { ...SHARED, ...less };
    // Newer by far than what is known, but out of a cache.
    const cached = { grant: keyGrant(), isFresh: false, policyAtMs: 2_000_000 };
    expect(await answerOf(ask(topic, publisher(policy, cached)))).toBe("needs recheck");
    source.close(1000);
    await source.next();
    await vi.waitFor(async () => expect(await topic.describe()).toMatchObject({ phase: "vacant" }));
    await settle(topic);
    // Of a vacant topic only the log knows how old its policy is.
    const older = { ...cached, policyAtMs: 500_000 };
    for (const join of [publisher(policy, cached), publisher(policy, older)]) {
      expect(await answerOf(ask(topic, join))).toBe("needs recheck");
    }
    const more = { ...kept, historyMessages: 1000 };
    expect(await answerOf(ask(topic, publisher(more, older)))).toBe("needs recheck");
    // What keeps the same is in no doubt, however old it is.
    const same = await open(topic, publisher(kept, older));
    same.close(1000);
    await same.next();
    const back = await open(topic, subscriber(kept, { since: "earliest" }));
    expect(await back.take(3)).toEqual(["1", "2", "3"]);
    // Fresh, it is believed.
    await open(topic, publisher(policy, { grant: keyGrant() }));
  });

  test.each([
    ["as it was", false],
    ["made younger", true],
  ])(
    "9.2 16.1 what is too old by a policy, %s, is deleted though nothing more is sent",
    async (_, isChanged) => {
      const { domain, topic: topicOf } = freshDomain();
      using clock = new Clock();
      const topic = topicOf();
      const younger = { ...SHARED, historySeconds: 60 };
      const first = isChanged ? { ...younger, historySeconds: 3600 } : younger;
      const options = { grant: keyGrant(), policyAtMs: clock.nowMs };
      const source = await open(topic, publisher(first, options));
      const reader = await open(topic, subscriber());
      source.send("for a minute");
      await reader.next();
      await settle(topic);
      await domain.changePolicy(policyOf(younger), clock.nowMs + 5000);
      await settle(topic);
      const rows = (): Promise<number> =>
        runInDurableObject(
          topic,
          (_topic, { storage }) => storage.sql.exec("select * from log").toArray().length,
        );
      // Half as long again: the alarm must be worth a wake.
      await clock.advance(89_999, topic);
      expect(await rows()).toBe(1);
      await clock.advance(1, topic);
      expect(await rows()).toBe(0);
    },
  );

  /** A topic with a reader in the middle of more history than memory holds, so that it reads rows. */
  async function topicWithReader(): Promise<{
    topic: DurableObjectStub<Topic>;
    source: Client;
    watcher: Client;
  }> {
    const topic = freshDomain().topic();
    const source = await open(topic, publisher(LONG_HISTORY));
    const watcher = await open(topic, subscriber());
    for (let n = 0; n < 30; n++) source.send("x".repeat(100_000));
    await watcher.take(30);
    await settle(topic);
    const reader = await open(topic, subscriber(null, { since: "earliest" }));
    expect(await reader.next()).toHaveLength(100_000);
    return { topic, source, watcher };
  }

  test("9.8 a topic with a reader in the middle of its history can end", async () => {
    const { topic, source, watcher } = await topicWithReader();
    source.close(1000);
    await source.next();
    expect(await watcher.next()).toEqual({ code: 1000, reason: "topic-ended" });
    expect(await runInDurableObject(topic, (_, { storage }) => tablesOf(storage))).toEqual([]);
    await open(topic, publisher(LONG_HISTORY));
  });

  test("5.5 9.2 and can be taken over by a publisher that switches its history off", async () => {
    const { topic, source } = await topicWithReader();
    await open(topic, publisher({ graceSeconds: 0 }, { takeover: true }));
    expect(await source.next()).toEqual(DISPLACED);
    expect(await runInDurableObject(topic, (_, { storage }) => tablesOf(storage))).toEqual([]);
    await open(topic, publisher(LONG_HISTORY, { takeover: true }));
  });
});

function tablesOf(storage: DurableObjectStorage): unknown[] {
  return storage.sql.exec("select name from sqlite_master where name = 'log'").toArray();
}
