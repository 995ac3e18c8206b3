/**
 * What a topic and its domain know of each other while calls fail, wait or cross, and what a topic asks the key
 * store of keys in use.
 */
import { runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, test, vi } from "vitest";
import { NAME_HEADER, type Admission } from "../../../src/core/admission.ts";
import { ANEW, type LookUp } from "../../../src/core/change.ts";
import type { Grant } from "../../../src/core/grant.ts";
import { DEFAULT_POLICY, type Policy } from "../../../src/core/policy.ts";
import { atRest } from "../../support-in-workerd/at-rest.ts";
import { Clock } from "../../support-in-workerd/clock.ts";
import {
  answerKeyDesk,
  callsOf,
  failNextCall,
  failNextRead,
  failNextWrite,
  holdNextCall,
} from "../../support-in-workerd/faults.ts";
import { keyGrant } from "../support/grants.ts";
import { later } from "../support/later.ts";
import {
  answerOf,
  ask,
  Client,
  open,
  publisher,
  subscriber,
  upgradeRequest,
} from "../support/sockets.ts";
import { evict, freshDomain, wake } from "../support/topics.ts";

const KEY_REJECTED = { code: 4501, reason: "key-rejected" };
const TOKEN_REQUIRED = { code: 4501, reason: "token-required" };
const DEAD = { type: "dead" } as const;
const LIVE = { type: "live", expiresAtMs: null } as const;
const SHARED = { publishers: "shared" } as const;

function lookUp(
  atMs: number,
  standing: LookUp["standings"][number]["standing"],
  policy: Policy | null = null,
  keyId = 1,
): LookUp {
  return { atMs, standings: [{ keyId, standing }], policy };
}

/** What a call fails with whose object ended meanwhile. */
function ended(): Error {
  return Object.assign(new Error("The object was reset"), { durableObjectReset: true });
}

describe("while the domain cannot be reached", () => {
  test("12.9 one that ended meanwhile is asked once more, and no more often", async () => {
    const { domain, topic } = freshDomain();
    const cached = { grant: keyGrant(), isFresh: false };
    failNextCall(domain, { method: "enter", error: ended(), breaksStub: true });
    expect(await answerOf(ask(topic(), publisher({}, cached)))).toBe(null);
    const fault = failNextCall(domain, { method: "enter", error: ended(), times: 2 });
    expect(await answerOf(ask(topic("other"), publisher({}, cached)))).toBe("needs recheck");
    expect(fault.struck).toBe(2);
  });

  test("12.9 nobody gets in by a cached grant", async () => {
    const { domain, topic: topicOf } = freshDomain();
    failNextCall(domain, { method: "enter", times: 2 });
    const cached = { grant: keyGrant(), isFresh: false };
    expect(await answerOf(ask(topicOf(), publisher({}, cached)))).toBe("needs recheck");
    expect(await answerOf(ask(topicOf(), subscriber(SHARED, cached)))).toBe("needs recheck");
  });

  test.each([
    ["publisher", publisher(SHARED)],
    ["subscriber", subscriber(SHARED)],
  ] as const)(
    "12.7 a %s whose key was checked just now gets in, and the domain is told until it hears",
    async (role, join) => {
      const { domain, topic: topicOf } = freshDomain();
      const topic = topicOf();
      const fault = failNextCall(domain, { method: "enter", times: 3 });
      const socket = await open(topic, { ...join, grant: keyGrant() });
      // Once before the handshake, once beside it, and then by the alarm.
      await vi.waitFor(() => expect(fault.struck).toBe(2));
      await atRest();
      await evict(topic);
      await runDurableObjectAlarm(topic);
      await atRest();
      expect(fault.struck).toBe(3);
      await runDurableObjectAlarm(topic);
      await atRest();
      expect(await domain.topics("", 9)).toHaveLength(role === "publisher" ? 1 : 0);
      await domain.changeKey(1, DEAD, later(), false);
      expect(await socket.next()).toEqual(KEY_REJECTED);
    },
  );

  test("12.9 what the key became meanwhile is made up for", async () => {
    const { domain, topic: topicOf } = freshDomain();
    const topic = topicOf();
    failNextCall(domain, { method: "enter", times: 2 });
    const source = await open(topic, publisher({}, { grant: keyGrant() }));
    const stranger = await open(topic, subscriber());
    await atRest();
    await domain.changeKey(1, DEAD, later(), false);
    await domain.changePolicy({ ...DEFAULT_POLICY, subscribers: "token" }, later());
    await runDurableObjectAlarm(topic);
    expect(await source.next()).toEqual(KEY_REJECTED);
    expect(await stranger.next()).toEqual(TOKEN_REQUIRED);
  });

  test.each([
    ["at once, over another stub", 1, []],
    ["when it sweeps, else", 2, ["topic"]],
  ])("15.2 a topic that ends is over for the domain, too: %s", async (_, times, left) => {
    const { domain, topic: topicOf } = freshDomain();
    const topic = topicOf();
    const source = await open(topic, publisher({ graceSeconds: 0 }, { grant: keyGrant() }));
    failNextCall(domain, { method: "leave", times });
    source.close(1000);
    await source.next();
    await atRest();
    expect((await domain.topics("", 9)).map(({ topic: name }) => name)).toEqual(left);
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 25 * 3_600_000 });
    await runDurableObjectAlarm(domain);
    vi.useRealTimers();
    expect(await domain.topics("", 9)).toEqual([]);
  });
});

test("12.7 an alarm after a sleep tells the domain nothing that it knows", async () => {
  const { domain, topic: topicOf } = freshDomain();
  using clock = new Clock();
  const topic = topicOf();
  const soonMs = clock.nowMs + 60_000;
  const grant = (keyId: number, expiresAtMs: number | null): Grant =>
    keyGrant({ keyId, expiresAtMs, checkedAtMs: clock.nowMs });
  await open(topic, publisher(SHARED, { grant: grant(1, null) }));
  const goes = await open(topic, publisher(SHARED, { grant: grant(2, soonMs) }));
  await evict(topic);
  const entered = callsOf(domain, "enter").length;
  await clock.advanceTo(soonMs, topic);
  expect(await goes.next()).toEqual(KEY_REJECTED);
  await atRest();
  expect(callsOf(domain, "enter")).toHaveLength(entered);
});

describe("what is pushed while a join waits", () => {
  test.each([
    ["publisher", publisher(SHARED)],
    ["subscriber", subscriber(SHARED)],
  ] as const)("12.9 is not overlooked: a %s by a key that dies just now", async (_, join) => {
    const { domain, topic: topicOf } = freshDomain();
    const topic = topicOf();
    using call = holdNextCall(domain, { method: "enter" });
    const answer = ask(topic, { ...join, grant: keyGrant() });
    await call.reached();
    expect(await domain.changeKey(1, DEAD, later(), false)).toMatchObject({ told: 1, closed: 0 });
    call.release();
    expect(await answerOf(answer)).toBe("needs recheck");
  });

  test("16.1 nor a policy", async () => {
    const { domain, topic: topicOf } = freshDomain();
    const topic = topicOf();
    using call = holdNextCall(domain, { method: "enter" });
    const source = ask(topic, publisher(SHARED, { grant: keyGrant() }));
    await call.reached();
    const policy = { ...DEFAULT_POLICY, ...SHARED, subscribers: "token" } as const;
    expect(await domain.changePolicy(policy, later())).toMatchObject({ told: 1 });
    call.release();
    expect(await answerOf(source)).toBe(null);
    expect(await domain.topics("", 9)).toHaveLength(1);
    expect(await answerOf(ask(topic, subscriber()))).toBe("token-required");
  });

  test("12.7 nor does a key that nobody uses yet become unknown", async () => {
    const { domain, topic: topicOf } = freshDomain();
    const topic = topicOf();
    using call = holdNextCall(domain, { method: "enter" });
    const answer = open(topic, publisher(SHARED, { grant: keyGrant() }));
    await call.reached();
    await domain.changeKey(1, LIVE, later(), false);
    call.release();
    const source = await answer;
    expect(await domain.changeKey(1, DEAD, later(), false)).toMatchObject({ closed: 1 });
    expect(await source.next()).toEqual(KEY_REJECTED);
  });

  test("12.7 many that come by one key at once cost one call", async () => {
    const { domain, topic: topicOf } = freshDomain();
    const topic = topicOf();
    await wake(topic);
    const joins = Array.from({ length: 20 }, () => publisher(SHARED, { grant: keyGrant() }));
    await Promise.all(joins.map((join) => open(topic, join)));
    expect(callsOf(domain, "enter")).toHaveLength(1);
  });
});

describe("a key in use", () => {
  test("12.8 is looked at although the key desk ends meanwhile", async () => {
    const { domain, topic: topicOf } = freshDomain();
    using clock = new Clock();
    answerKeyDesk(domain, { lookUp: () => lookUp(clock.nowMs, DEAD) });
    failNextCall({ keyDeskOf: domain }, { method: "lookUp", error: ended() });
    const grant = keyGrant({ checkedAtMs: clock.nowMs - 3_000_000 });
    const source = await open(topicOf(), publisher({}, { grant }));
    await clock.advance(31_000);
    source.send("hello");
    expect(await source.next()).toEqual(KEY_REJECTED);
    expect(callsOf({ keyDeskOf: domain }, "lookUp")).toHaveLength(2);
  });

  test("12.8 is looked at once in half a minute while the key store is down, however much is sent", async () => {
    const { domain, topic: topicOf } = freshDomain();
    using clock = new Clock();
    answerKeyDesk(domain, { lookUp: () => null });
    const topic = topicOf();
    const grant = keyGrant({ checkedAtMs: clock.nowMs - 3_000_000 });
    const source = await open(topic, publisher({}, { grant }));
    const reader = await open(topic, subscriber());
    for (let second = 0; second < 120; second++) {
      await clock.advance(1000);
      for (let n = 0; n < 10; n++) source.send(`${second}.${n}`);
      await reader.take(10);
    }
    await atRest();
    expect(callsOf({ keyDeskOf: domain }, "lookUp")).toHaveLength(4);
  });

  test.each([
    ["an hour behind", -3_600_000],
    ["right", 0],
    ["an hour ahead", 3_600_000],
  ])(
    "12.8 so it is on a topic that sleeps in between, Postgres's clock being %s",
    async (_, skewMs) => {
      const { domain, topic: topicOf } = freshDomain();
      using clock = new Clock();
      answerKeyDesk(domain, { lookUp: () => null });
      const topic = topicOf();
      const grant = keyGrant({ checkedAtMs: clock.nowMs + skewMs });
      const source = await open(topic, publisher({}, { grant }));
      const reader = await open(topic, subscriber());
      for (let n = 0; n < 20; n++) {
        await evict(topic);
        await clock.advance(12_000);
        source.send(`${n}`);
        await reader.next();
      }
      await atRest();
      const looks = callsOf({ keyDeskOf: domain }, "lookUp").length;
      expect(looks).toBeGreaterThanOrEqual(6);
      expect(looks).toBeLessThanOrEqual(8);
    },
  );

  test("12.8 is looked at within a minute of use, be it a publisher's or a subscriber's", async () => {
    const { domain, topic: topicOf } = freshDomain();
    using clock = new Clock();
    const topic = topicOf();
    answerKeyDesk(domain, {
      lookUp: (_, keyIds) => {
        const standings = keyIds.map((keyId) => ({ keyId, standing: keyId === 2 ? DEAD : LIVE }));
        return { atMs: clock.nowMs, standings, policy: null };
      },
    });
    const grant = (keyId: number): Grant => keyGrant({ keyId, checkedAtMs: clock.nowMs });
    const source = await open(topic, publisher(SHARED, { grant: grant(1) }));
    const reader = await open(topic, subscriber(null, { grant: grant(2) }));
    const stays = await open(topic, subscriber(null, { grant: grant(1) }));
    await clock.advance(29_000);
    source.send("early");
    await reader.next();
    await atRest();
    expect(callsOf({ keyDeskOf: domain }, "lookUp")).toEqual([]);
    await clock.advance(1000);
    source.send("due");
    // Its key store's word may overtake the message.
    const last = [await reader.next()].filter((item) => item !== "due");
    expect(last.at(0) ?? (await reader.next())).toEqual(KEY_REJECTED);
    source.send("after");
    expect(await stays.take(3)).toEqual(["early", "due", "after"]);
    // After a sleep, too.
    await evict(topic);
    await clock.advance(30_000);
    source.send("woken");
    await stays.next();
    await atRest();
    expect(callsOf({ keyDeskOf: domain }, "lookUp")).toHaveLength(2);
  });

  test("12.8 is looked at together with all others", async () => {
    const { domain, topic: topicOf } = freshDomain();
    using clock = new Clock();
    answerKeyDesk(domain, { lookUp: () => null });
    const topic = topicOf();
    const reader = await open(topic, subscriber(SHARED));
    const sources: Client[] = [];
    for (let keyId = 1; keyId <= 20; keyId++) {
      const grant = keyGrant({ keyId, checkedAtMs: clock.nowMs });
      sources.push(await open(topic, publisher(SHARED, { grant })));
      await clock.advance(1000);
    }
    for (let second = 0; second < 60; second++) {
      sources[0]?.send("x");
      await reader.next();
      await clock.advance(1000);
    }
    const asked = callsOf({ keyDeskOf: domain }, "lookUp");
    expect(asked).toHaveLength(2);
    expect(new Set(asked.flatMap(({ args }) => args[1]))).toHaveProperty("size", 20);
  });

  test("16.1 brings the domain's policy along", async () => {
    const { domain, topic: topicOf } = freshDomain();
    using clock = new Clock();
    const topic = topicOf();
    const policy = { ...DEFAULT_POLICY, subscribers: "token" } as const;
    answerKeyDesk(domain, { lookUp: () => lookUp(clock.nowMs, LIVE, policy) });
    const join = { grant: keyGrant({ checkedAtMs: clock.nowMs }), policyAtMs: clock.nowMs };
    const source = await open(topic, publisher({}, join));
    const stranger = await open(topic, subscriber());
    await clock.advance(60_000);
    source.send("still in public");
    expect(await stranger.take(2)).toEqual(["still in public", TOKEN_REQUIRED]);
    // It survives a sleep.
    await evict(topic);
    expect(await answerOf(ask(topic, subscriber()))).toBe("token-required");
  });

  test("16.2 and that it was found to hold, which outlives a sleep", async () => {
    const { domain, topic: topicOf } = freshDomain();
    using clock = new Clock();
    const topic = topicOf();
    answerKeyDesk(domain, { lookUp: () => lookUp(clock.nowMs, LIVE, DEFAULT_POLICY) });
    const startMs = clock.nowMs;
    const join = { grant: keyGrant({ checkedAtMs: startMs }), policyAtMs: startMs };
    const source = await open(topic, publisher({}, join));
    await clock.advance(60_000);
    source.send("x");
    await atRest();
    await evict(topic);
    // For a while the domain was another, which some cache has seen.
    const cached = { ...join, policyAtMs: startMs + 30_000, isFresh: false, isRechecked: false };
    const policy = { maxSubscribers: 1 };
    const takeover = publisher(policy, { ...cached, takeover: true });
    expect(await answerOf(ask(topic, takeover))).toBe(null);
    await open(topic, subscriber());
    expect(await answerOf(ask(topic, subscriber()))).toBe(null);
  });

  test("16.4 a history is not switched off by what the key desk had out of a cache", async () => {
    const { domain, topic: topicOf } = freshDomain();
    using clock = new Clock();
    const topic = topicOf();
    const kept = { ...DEFAULT_POLICY, historyMessages: 10 };
    const cachedAtMs = clock.nowMs + 20_000;
    const asked: (number | null)[] = [];
    answerKeyDesk(domain, {
      lookUp: (_, __, newerThanMs) => {
        asked.push(newerThanMs);
        return newerThanMs === null
          ? lookUp(cachedAtMs, LIVE, DEFAULT_POLICY)
          : lookUp(clock.nowMs, LIVE, kept);
      },
    });
    const join = { grant: keyGrant({ checkedAtMs: clock.nowMs }), policyAtMs: clock.nowMs };
    const source = await open(topic, publisher(kept, join));
    const reader = await open(topic, subscriber());
    await clock.advance(30_000);
    source.send("kept");
    await reader.next();
    await atRest();
    expect(asked).toEqual([null, ANEW]);
    const back = await open(topic, subscriber(null, { since: "earliest" }));
    expect(await back.next()).toBe("kept");
  });

  test("12.7 an end that was pushed is not undone by what the key desk had out of a cache", async () => {
    const { domain, topic: topicOf } = freshDomain();
    using clock = new Clock();
    const topic = topicOf();
    const soonMs = clock.nowMs + 3_600_000;
    const cachedAtMs = clock.nowMs + 1;
    answerKeyDesk(domain, { lookUp: () => lookUp(cachedAtMs, LIVE) });
    const source = await open(
      topic,
      publisher({}, { grant: keyGrant({ checkedAtMs: clock.nowMs }) }),
    );
    const reader = await open(topic, subscriber());
    await domain.changeKey(1, { type: "live", expiresAtMs: soonMs }, cachedAtMs + 1, false);
    await clock.advance(30_000);
    source.send("looked up");
    await reader.next();
    await atRest();
    await clock.advanceTo(soonMs, topic);
    expect(await source.next()).toEqual(KEY_REJECTED);
  });

  test("12.9 that died before a grant was given, and lives again, is left alone", async () => {
    const { domain, topic: topicOf } = freshDomain();
    using clock = new Clock();
    const topic = topicOf();
    answerKeyDesk(domain, { lookUp: () => null });
    const diedAtMs = clock.nowMs;
    const grant = keyGrant({ checkedAtMs: diedAtMs + 2001 });
    const source = await open(topic, publisher({}, { grant }));
    const reader = await open(topic, subscriber());
    // It was switched on by hand; the news of its death come late.
    expect(await domain.changeKey(1, DEAD, diedAtMs, false)).toMatchObject({ closed: 0, told: 1 });
    source.send("lives");
    expect(await reader.next()).toBe("lives");
    expect(callsOf({ keyDeskOf: domain }, "lookUp")).toEqual([]);
  });

  test.each([
    ["is dead", DEAD, KEY_REJECTED],
    ["lives", LIVE, "lives"],
    ["cannot be looked up", null, KEY_REJECTED],
  ] as const)(
    "12.9 that died within two seconds of its grant is asked about: it %s",
    async (_, standing, outcome) => {
      const { domain, topic: topicOf } = freshDomain();
      using clock = new Clock();
      const topic = topicOf();
      const asked: (number | null)[] = [];
      answerKeyDesk(domain, {
        lookUp: (_domain, _keyIds, newerThanMs) => {
          asked.push(newerThanMs);
          return standing === null ? null : lookUp(clock.nowMs + 500, standing);
        },
      });
      const source = await open(
        topic,
        publisher({}, { grant: keyGrant({ checkedAtMs: clock.nowMs + 1500 }) }),
      );
      const reader = await open(topic, subscriber());
      await domain.changeKey(1, DEAD, clock.nowMs, false);
      await atRest();
      expect(asked).toEqual([ANEW]);
      if (outcome === "lives") source.send("lives");
      expect(await (outcome === "lives" ? reader : source).next()).toEqual(outcome);
    },
  );
});

test("12.9 what the key store says of a key's death ends no grant that is clearly newer", async () => {
  const { domain, topic: topicOf } = freshDomain();
  using clock = new Clock();
  const topic = topicOf();
  const answer = Promise.withResolvers<LookUp>();
  answerKeyDesk(domain, { lookUp: () => answer.promise });
  const diedAtMs = clock.nowMs;
  const byKey = (checkedAtMs: number): Admission =>
    publisher(SHARED, { grant: keyGrant({ checkedAtMs }) });
  const doubtful = await open(topic, byKey(diedAtMs + 1500));
  const reader = await open(topic, subscriber(SHARED));
  await domain.changeKey(1, DEAD, diedAtMs, false);
  // While the answer is under way the key is switched on again, and opens.
  const newer = await open(topic, byKey(diedAtMs + 2601));
  answer.resolve(lookUp(diedAtMs + 600, DEAD));
  expect(await doubtful.next()).toEqual(KEY_REJECTED);
  await atRest();
  newer.send("lives");
  expect(await reader.next()).toBe("lives");
});

describe("a key's end", () => {
  test("12.7 that was shortened holds for who connects with an older grant", async () => {
    const { domain, topic: topicOf } = freshDomain();
    using clock = new Clock();
    const topic = topicOf();
    const cached = { grant: keyGrant({ checkedAtMs: clock.nowMs }), isFresh: false };
    const endMs = clock.nowMs + 3_600_000;
    await domain.changeKey(1, { type: "live", expiresAtMs: endMs }, clock.nowMs + 1, false);
    const source = await open(topic, publisher({}, cached));
    const reader = await open(topic, subscriber(null, cached));
    await evict(topic);
    await clock.advanceTo(endMs, topic);
    expect(await source.next()).toEqual(KEY_REJECTED);
    expect(await reader.next()).toEqual(KEY_REJECTED);
  });

  test("12.7 that was prolonged holds, too", async () => {
    const { domain, topic: topicOf } = freshDomain();
    using clock = new Clock();
    const topic = topicOf();
    const oldEndMs = clock.nowMs + 60_000;
    const newEndMs = clock.nowMs + 3_600_000;
    const grant = keyGrant({ checkedAtMs: clock.nowMs, expiresAtMs: oldEndMs });
    await domain.changeKey(1, { type: "live", expiresAtMs: newEndMs }, clock.nowMs + 1, false);
    const source = await open(topic, publisher({}, { grant, isFresh: false }));
    const reader = await open(topic, subscriber());
    await clock.advanceTo(oldEndMs + 1000, topic);
    source.send("goes on");
    expect(await reader.next()).toBe("goes on");
    await clock.advanceTo(newEndMs, topic);
    expect(await source.next()).toEqual(KEY_REJECTED);
  });
});

test("2.1 12.7 a vacant topic that the runtime tells no name keeps it for those who wait there", async () => {
  using clock = new Clock();
  const domainName = `domain-${crypto.randomUUID()}`;
  const name = `${domainName}/${"👋".repeat(256)}`;
  const topic = env.TOPIC.getByName(name);
  const domain = env.DOMAIN.getByName(domainName);
  const join = async (admission: Admission): Promise<Client> => {
    const request = upgradeRequest(admission);
    request.headers.set(NAME_HEADER, encodeURIComponent(name));
    const { webSocket } = await topic.fetch(request);
    if (webSocket === null) throw new Error("Refused");
    return new Client(webSocket);
  };
  const grant = (keyId: number, expiresAtMs: number | null): Grant =>
    keyGrant({ keyId, expiresAtMs, checkedAtMs: clock.nowMs });
  const soonMs = clock.nowMs + 60_000;
  const source = await join(publisher(SHARED, { grant: grant(1, null) }));
  const goes = await join(subscriber(SHARED, { grant: grant(2, soonMs) }));
  // The domain cannot be told of this one yet.
  failNextCall(domain, { method: "enter", times: 3 });
  const stays = await join(subscriber(SHARED, { grant: grant(3, null) }));
  await atRest();
  source.close(1000);
  await source.next();
  await atRest();
  await evict(topic);
  const firings = await clock.advanceTo(soonMs + 60_000, topic);
  expect(firings.map(({ error }) => error)).not.toContainEqual(expect.any(Error));
  expect(await goes.next()).toEqual(KEY_REJECTED);
  await atRest();
  await domain.changeKey(3, DEAD, clock.nowMs, false);
  expect(await stays.next()).toEqual(KEY_REJECTED);
});

test("9.9 an alarm for a key's end takes no log from those who wait on a vacant topic", async () => {
  const { topic: topicOf } = freshDomain();
  using clock = new Clock();
  const topic = topicOf();
  const soonMs = clock.nowMs + 60_000;
  const source = await open(topic, publisher(SHARED, { grant: keyGrant() }));
  const grant = keyGrant({ keyId: 2, expiresAtMs: soonMs });
  const goes = await open(topic, subscriber(SHARED, { grant }));
  const stays = await open(topic, subscriber(SHARED));
  source.send("remembered");
  await stays.next();
  source.close(1000);
  await source.next();
  await goes.next();
  await clock.advanceTo(soonMs, topic);
  expect(await goes.next()).toEqual(KEY_REJECTED);
  const back = await open(topic, subscriber(SHARED, { since: "-1" }));
  expect(await back.next()).toBe("remembered");
});

test("9.8 an alarm for a key's end does not put off the end of a log that is kept for a day", async () => {
  const { topic: topicOf } = freshDomain();
  using clock = new Clock();
  const topic = topicOf();
  const policy = { ...SHARED, historyMessages: 10 };
  const soonMs = clock.nowMs + 60_000;
  const source = await open(topic, publisher(policy, { grant: keyGrant() }));
  const grant = keyGrant({ keyId: 2, expiresAtMs: soonMs });
  const goes = await open(topic, subscriber(policy, { grant }));
  await open(topic, subscriber(policy));
  source.send("kept for a day");
  await goes.next();
  source.close(1000);
  await source.next();
  await clock.advanceTo(soonMs, topic);
  expect(await goes.next()).toEqual(KEY_REJECTED);
  await evict(topic);
  const firings = await clock.advance(25 * 3_600_000, topic);
  expect(firings).toHaveLength(1);
  const stored = await runInDurableObject(topic, (_, { storage }) => Array.from(storage.kv.list()));
  expect(stored).toEqual([]);
});

describe("a join that is refused whatever the domain says", () => {
  test.each([
    ["a subscriber to a topic that nobody has started", subscriber({}), "topic-not-live"],
    ["a publisher beside another one", publisher({}), "publisher-conflict"],
  ] as const)("12.7 leaves nothing there: %s", async (_, join, slug) => {
    const { domain, topic: topicOf } = freshDomain();
    const topic = topicOf();
    if (slug !== "topic-not-live") {
      await open(topic, publisher());
    }
    await atRest();
    const calls = callsOf(domain).length;
    expect(await answerOf(ask(topic, { ...join, grant: keyGrant() }))).toBe(slug);
    await atRest();
    expect(callsOf(domain)).toHaveLength(calls);
  });
});

describe("a word of the key store that was read before another, and stamped after it", () => {
  test("12.9 opens nothing, however fresh, until it was asked again", async () => {
    const { domain, topic: topicOf } = freshDomain();
    const diedAtMs = later();
    await domain.changeKey(1, DEAD, diedAtMs, false);
    const grant = keyGrant({ checkedAtMs: diedAtMs + 1900 });
    const fresh = { grant, isFresh: true, isRechecked: false };
    expect(await answerOf(ask(topicOf(), publisher(SHARED, fresh)))).toBe("needs recheck");
    expect(await answerOf(ask(topicOf(), subscriber(SHARED, fresh)))).toBe("needs recheck");
    const rechecked = { ...fresh, isRechecked: true };
    expect(await answerOf(ask(topicOf(), publisher(SHARED, rechecked)))).toBe(null);
  });

  test("16.2 undoes no policy that was pushed", async () => {
    const { domain, topic: topicOf } = freshDomain();
    using clock = new Clock();
    const topic = topicOf();
    const secret = { ...DEFAULT_POLICY, subscribers: "token" } as const;
    let answers = 0;
    answerKeyDesk(domain, {
      lookUp: (_, __, newerThanMs) => {
        answers += 1;
        return lookUp(clock.nowMs + 500, LIVE, newerThanMs === null ? DEFAULT_POLICY : secret);
      },
    });
    const join = { grant: keyGrant({ checkedAtMs: clock.nowMs }), policyAtMs: clock.nowMs };
    const source = await open(topic, publisher({}, join));
    await clock.advance(31_000);
    await domain.changePolicy(secret, clock.nowMs);
    source.send("x");
    await atRest();
    expect(answers).toBe(2);
    expect(await answerOf(ask(topic, subscriber()))).toBe("token-required");
  });
});

test("12.7 a topic that slept takes its keys out of the register when it ends", async () => {
  const { domain, topic: topicOf } = freshDomain();
  const topic = topicOf();
  const source = await open(topic, publisher({ graceSeconds: 0 }, { grant: keyGrant() }));
  await evict(topic);
  source.close(1000);
  await source.next();
  await vi.waitFor(async () => {
    const stored = await runInDurableObject(domain, (_, { storage }) =>
      Array.from(storage.kv.list()),
    );
    expect(stored).toEqual([]);
  });
});

test("12.7 a word of version 0.1 has no date by the key store's clock", async () => {
  const { domain, topic: topicOf } = freshDomain();
  const topic = topicOf();
  answerKeyDesk(domain, { lookUp: () => null });
  const grant = keyGrant({ checkedAtMs: Date.now() + 60_000 });
  const source = await open(topic, publisher({}, { grant }));
  await topic.applyKey(1, DEAD);
  expect(await source.next()).toEqual(KEY_REJECTED);
});

describe("a join that fails", () => {
  test("9.4 leaves no subscriber behind where the log cannot be read", async () => {
    using clock = new Clock();
    const { topic: topicOf } = freshDomain();
    const topic = topicOf();
    const source = await open(topic, publisher({ historyMessages: 1000 }));
    const reader = await open(topic, subscriber());
    source.send("old");
    expect(await reader.next()).toBe("old");
    for (const message of ["newer", "new"]) {
      await clock.advance(10_000, topic);
      source.send(message);
      expect(await reader.next()).toBe(message);
    }
    await evict(topic);
    await wake(topic);
    // What was published five seconds ago is looked for before anything is read.
    failNextRead(topic, { method: "sql.exec", matching: "where id <" });
    await expect(async () => {
      await ask(topic, subscriber(null, { since: "5s" }));
    }).rejects.toThrow();
    expect(await topic.describe()).toMatchObject({ subscribers: 1 });
  });

  test("5.5 displaces nobody and leaves no ghost", async () => {
    const { topic: topicOf } = freshDomain();
    const topic = topicOf();
    const source = await open(topic, publisher({}, { grant: keyGrant() }));
    const reader = await open(topic, subscriber());
    failNextWrite(topic, { matching: "state" });
    const other = { ...DEFAULT_POLICY, graceSeconds: 60 };
    await expect(ask(topic, publisher(other, { takeover: true }))).rejects.toThrow();
    source.send("still here");
    expect(await reader.next()).toBe("still here");
    expect(await topic.describe()).toEqual({ phase: "live", publishers: 1, subscribers: 1 });
    source.close(1000);
    expect(await source.next()).toEqual({ code: 1000, reason: "" });
  });

  test("5.2 starts no topic", async () => {
    const { domain, topic: topicOf } = freshDomain();
    const topic = topicOf();
    failNextWrite(topic, { matching: "state" });
    await expect(ask(topic, publisher({}, { grant: keyGrant() }))).rejects.toThrow();
    expect(await topic.describe()).toMatchObject({ phase: "vacant", publishers: 0 });
    await vi.waitFor(async () => expect(await domain.topics("", 9)).toEqual([]));
    await open(topic, publisher({}, { grant: keyGrant() }));
    const sockets = await runInDurableObject(topic, (_, ctx) => ctx.getWebSockets().length);
    expect(sockets).toBe(1);
  });
});
