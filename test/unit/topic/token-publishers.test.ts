/**
 * PROTOCOL.md, 13.12, 13.13 and 16.3, on the object itself: publishers by tokens, whom they displace, and what ends them.
 * Every test runs twice, the second time with topic and domain evicted between its steps.
 */
import { runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { describe, expect, test, vi } from "vitest";
import type { Grant } from "../../../src/core/grant.ts";
import { DEFAULT_POLICY, type Policy } from "../../../src/core/policy.ts";
import type { Domain } from "../../../src/domain/domain.ts";
import type { Topic } from "../../../src/topic/topic.ts";
import { atRest } from "../../support-in-workerd/at-rest.ts";
import { Clock } from "../../support-in-workerd/clock.ts";
import { answerKeyDesk, callsOf, failNextCall } from "../../support-in-workerd/faults.ts";
import { keyGrant, tokenGrant } from "../support/grants.ts";
import { later } from "../support/later.ts";
import {
  answerOf,
  ask,
  hubSockets,
  open,
  publisher,
  subscriber,
  type Client,
} from "../support/sockets.ts";
import { crash, evict, freshDomain, wake } from "../support/topics.ts";

const TAKEN = { tokenPublishers: true } as const;
const SHARED = { ...TAKEN, publishers: "shared" } as const;
const OFF = { code: 4503, reason: "token-publishers-off" };
const DISPLACED = { code: 4509, reason: "publisher-displaced" };
const EXPIRED = { code: 4401, reason: "token-expired" };
const TOO_MANY = { code: 4453, reason: "too-many-topics" };
const TAKEOVER = { takeover: true } as const;
const HOUR_MS = 3_600_000;

function tokenOf(subject: string, changes: Partial<Grant> = {}): Grant {
  return tokenGrant(Date.now() + HOUR_MS, { subject, ...changes });
}

function policyOf(changes: Partial<Policy>): Policy {
  return { ...DEFAULT_POLICY, ...changes };
}

/** What a topic answers to a publisher. */
function answer(
  topic: DurableObjectStub<Topic>,
  policy: Partial<Policy>,
  options: Parameters<typeof publisher>[1],
): Promise<string | null> {
  return answerOf(ask(topic, publisher(policy, options)));
}

function byToken(
  topic: DurableObjectStub<Topic>,
  policy: Partial<Policy>,
  subject = "somebody",
): Promise<Client> {
  return open(topic, publisher(policy, { grant: tokenOf(subject) }));
}

/** The lives that a domain knows of. */
async function topicsOf(domain: DurableObjectStub<Domain>): Promise<string[]> {
  return (await domain.topics("", 9)).map(({ topic }) => topic);
}

/** The cursor of the frame that comes next. */
async function cursorOf(reader: Client): Promise<string> {
  const { cursor } = JSON.parse((await reader.next()) as string) as { cursor: string };
  return cursor;
}

describe.each([
  { name: "awake", settle: wake },
  { name: "evicted between steps", settle: evict },
])("publishers by tokens, $name", ({ settle }) => {
  test("13.12 start a topic, publish, and leave it in grace", async () => {
    const { domain, topic: topicOf } = freshDomain();
    const topic = topicOf();
    const source = await byToken(topic, TAKEN);
    const reader = await open(topic, subscriber());
    await settle(topic);
    source.send("by a token");
    expect(await reader.next()).toBe("by a token");
    expect(await topicsOf(domain)).toEqual(["topic"]);
    source.close(1000);
    await source.next();
    await settle(topic);
    expect(await topic.describe()).toMatchObject({ phase: "grace" });
    await byToken(topic, TAKEN, "somebody else");
    expect(await topic.describe()).toMatchObject({ phase: "live", publishers: 1 });
  });

  test("13.12 are refused where the domain takes none, and leave nothing there", async () => {
    const { domain, topic: topicOf } = freshDomain();
    const topic = topicOf();
    expect(await answer(topic, {}, { grant: tokenOf("a") })).toBe("token-publishers-off");
    expect(callsOf(domain)).toEqual([]);
    await runInDurableObject(topic, async (_, { storage }) =>
      expect(Array.from(await storage.list())).toEqual([]),
    );
  });

  test("13.12 are refused by what a domain has heard, whatever a cache says", async () => {
    const { domain, topic: topicOf } = freshDomain();
    const cachedAtMs = later();
    const cached = { policyAtMs: cachedAtMs, isFresh: false, isRechecked: false };
    const far = { ...cached, policyAtMs: cachedAtMs - 10_000 };
    const live = topicOf("live");
    await open(live, publisher(SHARED, { grant: keyGrant(), ...cached }));
    await domain.changePolicy(policyOf({ publishers: "shared" }), later());
    await settle(domain);
    await settle(live);
    for (const topic of [live, topicOf("vacant")]) {
      const said = await answer(topic, SHARED, { ...far, grant: tokenOf("a") });
      expect(said).toBe("token-publishers-off");
    }
    expect(await topicsOf(domain)).toEqual(["live"]);
  });

  test("13.13 displace no key's publisher: neither by takeover nor when it is silent", async () => {
    const { topic: topicOf } = freshDomain();
    using clock = new Clock();
    const topic = topicOf();
    const source = await open(topic, publisher(TAKEN, { grant: keyGrant(), heartbeatSeconds: 1 }));
    await settle(topic);
    const grant = tokenOf("a");
    expect(await answer(topic, TAKEN, { grant, ...TAKEOVER })).toBe("publisher-conflict");
    clock.set(clock.nowMs + 3001);
    for (const options of [{ grant }, { grant, ...TAKEOVER }]) {
      expect(await answer(topic, TAKEN, options)).toBe("publisher-conflict");
    }
    await settle(topic);
    // A key's does so.
    await open(topic, publisher(TAKEN, { grant: keyGrant({ keyId: 2 }) }));
    expect(await source.next()).toEqual(DISPLACED);
  });

  test("13.13 displace their own subject's: by takeover, or when it is silent", async () => {
    const { topic: topicOf } = freshDomain();
    using clock = new Clock();
    const topic = topicOf();
    const [mine, theirs] = [tokenOf("mine"), tokenOf("theirs")];
    const first = await open(topic, publisher(TAKEN, { grant: mine, heartbeatSeconds: 1 }));
    await settle(topic);
    expect(await answer(topic, TAKEN, { grant: mine })).toBe("publisher-conflict");
    expect(await answer(topic, TAKEN, { grant: theirs, ...TAKEOVER })).toBe("publisher-conflict");
    const second = await open(
      topic,
      publisher(TAKEN, { grant: mine, heartbeatSeconds: 1, ...TAKEOVER }),
    );
    expect(await first.next()).toEqual(DISPLACED);
    await settle(topic);
    clock.set(clock.nowMs + 3001);
    expect(await answer(topic, TAKEN, { grant: theirs })).toBe("publisher-conflict");
    await open(topic, publisher(TAKEN, { grant: mine }));
    expect(await second.next()).toEqual(DISPLACED);
  });

  test("13.13 are displaced by any key, as publishers by keys are", async () => {
    const { topic: topicOf } = freshDomain();
    const topic = topicOf();
    const first = await byToken(topic, TAKEN);
    await settle(topic);
    expect(await answer(topic, TAKEN, { grant: keyGrant() })).toBe("publisher-conflict");
    await open(topic, publisher(TAKEN, { grant: keyGrant(), ...TAKEOVER }));
    expect(await first.next()).toEqual(DISPLACED);
  });

  test("13.13 14.3 of a shared topic are counted, and take no place but a silent one of their own", async () => {
    const { topic: topicOf } = freshDomain();
    using clock = new Clock();
    const topic = topicOf();
    const THREE = { ...SHARED, maxPublishers: 3 };
    const beating = { heartbeatSeconds: 1 };
    const longest = await open(topic, publisher(THREE, { grant: keyGrant(), ...beating }));
    clock.set(clock.nowMs + 1);
    await open(topic, publisher(THREE, { grant: tokenOf("theirs"), ...beating }));
    clock.set(clock.nowMs + 1);
    const mine = await open(topic, publisher(THREE, { grant: tokenOf("mine"), ...beating }));
    await settle(topic);
    expect(await answer(topic, THREE, { grant: keyGrant() })).toBe("too-many-publishers");
    clock.set(clock.nowMs + 3002);
    expect(await answer(topic, THREE, { grant: tokenOf("nobody") })).toBe("too-many-publishers");
    await byToken(topic, THREE, "mine");
    expect(await mine.next()).toEqual(DISPLACED);
    await settle(topic);
    await open(topic, publisher(THREE, { grant: keyGrant() }));
    expect(await longest.next()).toEqual(DISPLACED);
  });

  test("13.6 are closed when their token expires, and have left", async () => {
    const { topic: topicOf } = freshDomain();
    using clock = new Clock();
    const topic = topicOf();
    const grant = tokenOf("a", { expiresAtMs: clock.nowMs + 60_000 });
    const source = await open(topic, publisher(TAKEN, { grant }));
    await settle(topic);
    await clock.advance(59_999, topic);
    expect(await topic.describe()).toMatchObject({ phase: "live" });
    await clock.advance(1, topic);
    expect(await source.next()).toEqual(EXPIRED);
    expect(await topic.describe()).toMatchObject({ phase: "grace", publishers: 0 });
  });

  test("16.3 are closed when the domain takes none any more, and nobody else is", async () => {
    const { domain, topic: topicOf } = freshDomain();
    const topic = topicOf();
    const source = await byToken(topic, SHARED);
    const byKey = await open(topic, publisher(SHARED, { grant: keyGrant() }));
    const readers = [
      await open(topic, subscriber(null, { grant: tokenOf("somebody") })),
      await open(topic, subscriber()),
    ];
    await settle(topic);
    await settle(domain);
    const off = policyOf({ publishers: "shared" });
    expect(await domain.changePolicy(off, later())).toMatchObject({ closed: 1, told: 1 });
    expect(await source.next()).toEqual(OFF);
    await settle(topic);
    byKey.send("by key");
    for (const reader of readers) expect(await reader.next()).toBe("by key");
    expect(await answer(topic, SHARED, { grant: tokenOf("a"), policyAtMs: 1 })).toBe(
      "token-publishers-off",
    );
  });

  test("16.3 leave a topic in grace that had no others, and one that a key's publisher keeps", async () => {
    const { domain, topic: topicOf } = freshDomain();
    const [alone, together] = [topicOf("alone"), topicOf("together")];
    const sources = [await byToken(alone, TAKEN), await byToken(together, SHARED)];
    const byKey = await open(together, publisher(SHARED, { grant: keyGrant() }));
    await settle(alone);
    await settle(together);
    // Exclusive from now on: the first of them may not stay, so the other one does.
    expect(await domain.changePolicy(policyOf({}), later())).toMatchObject({ closed: 2 });
    for (const source of sources) expect(await source.next()).toEqual(OFF);
    expect(await alone.describe()).toMatchObject({ phase: "grace", publishers: 0 });
    expect(await together.describe()).toMatchObject({ phase: "live", publishers: 1 });
    const reader = await open(together, subscriber());
    byKey.send("stays");
    expect(await reader.next()).toBe("stays");
  });

  test("16.3 have left when they are closed: without a grace period their topic ends", async () => {
    const { domain, topic: topicOf } = freshDomain();
    const topic = topicOf();
    const NO_GRACE = { graceSeconds: 0 };
    await byToken(topic, { ...TAKEN, ...NO_GRACE });
    const reader = await open(topic, subscriber());
    await settle(topic);
    expect(await domain.changePolicy(policyOf(NO_GRACE), later())).toMatchObject({ closed: 2 });
    expect(await reader.next()).toEqual({ code: 1000, reason: "topic-ended" });
    await atRest();
    expect(await topicsOf(domain)).toEqual([]);
  });

  test("16.1 a policy that is switched off by hand closes them within a minute of use, without any key", async () => {
    const { domain, topic: topicOf } = freshDomain();
    using clock = new Clock();
    const topic = topicOf();
    const source = await byToken(topic, SHARED);
    const byKey = await open(topic, publisher(SHARED, { grant: keyGrant() }));
    const reader = await open(topic, subscriber());
    const other = await byToken(topic, SHARED, "somebody else");
    for (const leaving of [byKey, other]) {
      leaving.close(1000);
      await leaving.next();
    }
    await settle(topic);
    answerKeyDesk(domain, {
      lookUp: () => ({ atMs: clock.nowMs, standings: [], policy: policyOf({}) }),
    });
    clock.set(clock.nowMs + 29_999);
    source.send("1");
    await reader.next();
    expect(callsOf({ keyDeskOf: domain }, "lookUp")).toEqual([]);
    clock.set(clock.nowMs + 1);
    source.send("2");
    await reader.next();
    expect(await source.next()).toEqual(OFF);
    expect(callsOf({ keyDeskOf: domain }, "lookUp")).toMatchObject([
      { args: [expect.any(String), [], null] },
    ]);
  });

  test("14.12 start no topic over the bound, and are closed if they did while nobody could count", async () => {
    const { domain, topic: topicOf } = freshDomain();
    const ONE = { ...TAKEN, maxTopics: 1 };
    await byToken(topicOf("one"), ONE);
    await settle(domain);
    expect(await answer(topicOf("two"), ONE, { grant: tokenOf("a") })).toBe("too-many-topics");
    expect(await topicsOf(domain)).toEqual(["one"]);
    failNextCall(domain, { method: "enter" });
    const cached = { grant: tokenOf("a"), isFresh: false };
    expect(await answer(topicOf("three"), ONE, cached)).toBe("needs recheck");
    const four = topicOf("four");
    const fault = failNextCall(domain, { method: "enter", times: 2 });
    const uncounted = await byToken(four, ONE);
    await vi.waitFor(() => expect(fault.struck).toBe(2));
    await atRest();
    await settle(four);
    await runDurableObjectAlarm(four);
    expect(await uncounted.next()).toEqual(TOO_MANY);
    expect(await four.describe()).toMatchObject({ phase: "grace", publishers: 0 });
    await atRest();
    expect(await topicsOf(domain)).toEqual(["one"]);
  });

  test("14.6 a rate is a subject's, and reconnecting makes it no larger", async () => {
    const { topic: topicOf } = freshDomain();
    using clock = new Clock();
    const topic = topicOf();
    const SLOW = { ...SHARED, messagesPerSecond: 2 };
    const reader = await open(topic, subscriber(SLOW));
    const stays = await byToken(topic, SLOW, "theirs");
    const first = await byToken(topic, SLOW, "mine");
    for (const text of ["1", "2"]) first.send(text);
    expect(await reader.take(2)).toEqual(["1", "2"]);
    first.close(1000);
    await first.next();
    const second = await byToken(topic, SLOW, "mine");
    second.send("3");
    expect(await second.next()).toEqual({ code: 4429, reason: "too-many-requests" });
    stays.send("4");
    expect(await reader.next()).toBe("4");
    clock.set(clock.nowMs + 1000);
    const third = await byToken(topic, SLOW, "mine");
    third.send("5");
    expect(await reader.next()).toBe("5");
  });

  test("15.8 are shown by their subject", async () => {
    const { topic: topicOf } = freshDomain();
    const topic = topicOf();
    await byToken(topic, TAKEN, "user-7");
    await settle(topic);
    expect(await topic.sockets(9)).toMatchObject([
      { role: "publisher", keyId: null, subject: "user-7" },
    ]);
  });

  test("carry what the version before does not take for its own", async () => {
    const { topic: topicOf } = freshDomain();
    const topic = topicOf();
    await byToken(topic, SHARED);
    await open(topic, publisher(SHARED, { grant: keyGrant() }));
    await settle(topic);
    const versions = await runInDurableObject(topic, (_, ctx) =>
      hubSockets(ctx, "publisher").map(
        (socket) => (socket.deserializeAttachment() as { v: unknown }).v,
      ),
    );
    expect(new Set(versions)).toEqual(new Set([1, 2]));
  });

  test("are lost with their topic's memory, and come back to the life that they began", async () => {
    const { domain, topic: topicOf } = freshDomain();
    const topic = topicOf();
    await byToken(topic, TAKEN);
    await crash(topic);
    await byToken(topic, TAKEN);
    expect(await topic.describe()).toMatchObject({ phase: "live", publishers: 1 });
    expect(await topicsOf(domain)).toEqual(["topic"]);
  });
});

test("13.13 subjects are compared as they are, and a grant without one is nobody's", async () => {
  const { topic: topicOf } = freshDomain();
  const topic = topicOf();
  await open(topic, publisher(TAKEN, { grant: tokenOf("é") }));
  for (const subject of ["e\u0301", "É", "é "]) {
    const options = { grant: tokenOf(subject), ...TAKEOVER };
    expect(await answer(topic, TAKEN, options)).toBe("publisher-conflict");
  }
  const other = topicOf("other");
  const nameless = { grant: tokenOf("", { subject: null }), ...TAKEOVER };
  await open(other, publisher(TAKEN, nameless));
  expect(await answer(other, TAKEN, nameless)).toBe("publisher-conflict");
});

test("16.3 many are gone at once, and closed some at a time", async () => {
  const { topic: topicOf } = freshDomain();
  const topic = topicOf();
  const MANY = 100;
  const sources = await Promise.all(
    Array.from({ length: MANY }, (_, n) => byToken(topic, SHARED, `somebody-${n}`)),
  );
  const reader = await open(topic, subscriber());
  const closed = await runInDurableObject(topic, (instance, ctx) => {
    const sockets = hubSockets(ctx, "publisher");
    const closes = sockets.map((socket) => vi.spyOn(socket, "close"));
    const policy = policyOf({ publishers: "shared" });
    const heard = instance.applyChange({ type: "policy", policy, atMs: later(), number: 1 });
    expect(heard.closed).toBe(MANY);
    expect(instance.describe()).toMatchObject({ phase: "vacant", publishers: 0 });
    for (const socket of sockets) instance.webSocketMessage(socket, "too late");
    return closes.filter(({ mock }) => mock.calls.length > 0).length;
  });
  expect(closed).toBeGreaterThan(0);
  expect(closed).toBeLessThan(MANY / 2);
  for (const source of sources) expect(await source.next()).toEqual(OFF);
  const byKey = await open(topic, publisher({ publishers: "shared" }, { grant: keyGrant() }));
  byKey.send("by key");
  expect(await reader.next()).toBe("by key");
});

test("16.3 one that a policy closed and a sleep kept is closed on waking, and the log goes on", async () => {
  const { topic: topicOf } = freshDomain();
  const topic = topicOf();
  const source = await byToken(topic, SHARED);
  const byKey = await open(topic, publisher(SHARED, { grant: keyGrant() }));
  const reader = await open(topic, subscriber(null, { protocol: "stream" }));
  const begins = await cursorOf(reader);
  source.send("first");
  expect(await cursorOf(reader)).toBe(begins.replace(/-0$/, "-1"));
  await runInDurableObject(topic, (_, { storage }) => {
    const stored = storage.kv.get<{ state: { policy: Policy } }>("state");
    const policy = { ...stored?.state.policy, tokenPublishers: false };
    storage.kv.put("state", { ...stored, state: { ...stored?.state, policy } });
  });
  await evict(topic);
  await wake(topic);
  expect(await source.next()).toEqual(OFF);
  expect(await topic.describe()).toMatchObject({ phase: "live", publishers: 1 });
  // It carried the place of the log: somebody else does now.
  await evict(topic);
  byKey.send("second");
  expect(await cursorOf(reader)).toBe(begins.replace(/-0$/, "-2"));
});
