/**
 * The domain object: whom it tells of what, what it remembers for how long, and what it leaves behind. Topics
 * are real ones of the same domain.
 */
import { runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { describe, expect, test, vi } from "vitest";
import { ANEW } from "../../../src/core/change.ts";
import { DEFAULT_POLICY } from "../../../src/core/policy.ts";
import type { Domain } from "../../../src/domain/domain.ts";
import { answerKeyDesk, callsOf, failNextCall } from "../../support-in-workerd/faults.ts";
import { keyGrant } from "../support/grants.ts";
import { later } from "../support/later.ts";
import { answerOf, ask, open, publisher, subscriber } from "../support/sockets.ts";
import { crash, evict, freshDomain } from "../support/topics.ts";

const KEY_REJECTED = { code: 4501, reason: "key-rejected" };
const DEAD = { type: "dead" } as const;
const LIVE = { type: "live", expiresAtMs: null } as const;
const SHARED = { publishers: "shared" } as const;
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

function keysOf(domain: DurableObjectStub<Domain>, prefix = ""): Promise<string[]> {
  return runInDurableObject(domain, (_, { storage }) =>
    Array.from(storage.kv.list({ prefix }), ([key]) => key),
  );
}

function alarmOf(domain: DurableObjectStub<Domain>): Promise<number | null> {
  return runInDurableObject(domain, (_, { storage }) => storage.getAlarm());
}

/** Runs something at a time. */
async function at<T>(nowMs: number, run: () => Promise<T>): Promise<T> {
  vi.useFakeTimers({ toFake: ["Date"], now: nowMs });
  try {
    return await run();
  } finally {
    vi.useRealTimers();
  }
}

describe("the register", () => {
  test("12.7 only who has a key is told of it", async () => {
    const { domain, topic: topicOf } = freshDomain();
    await open(topicOf("one"), publisher({}, { grant: keyGrant() }));
    await open(topicOf("two"), publisher({}, { grant: keyGrant({ keyId: 2 }) }));
    await open(topicOf("three"), publisher(SHARED, { grant: keyGrant({ keyId: 2 }) }));
    await open(topicOf("three"), publisher(SHARED, { grant: keyGrant() }));
    expect(await domain.changeKey(1, DEAD, later(), false)).toMatchObject({ told: 2, closed: 2 });
    // Whoever has no use for the key any more is not told again.
    expect(await domain.changeKey(1, DEAD, later(), false)).toMatchObject({ told: 0 });
    expect(await domain.changeKey(2, DEAD, later(), false)).toMatchObject({ told: 2, closed: 2 });
  });

  test("12.7 a subscriber by key on a vacant topic is told of it, and no topic is live for its sake", async () => {
    const { domain, topic: topicOf } = freshDomain();
    const topic = topicOf();
    const reader = await open(topic, subscriber(SHARED, { grant: keyGrant() }));
    expect(await domain.topics("", 9)).toEqual([]);
    await evict(topic);
    await evict(domain);
    expect(await domain.changeKey(1, DEAD, later(), false)).toMatchObject({ closed: 1 });
    expect(await reader.next()).toEqual(KEY_REJECTED);
  });

  test("12.7 who waits on a topic whose last publisher leaves is told as before", async () => {
    const { domain, topic: topicOf } = freshDomain();
    const topic = topicOf();
    const source = await open(topic, publisher(SHARED, { grant: keyGrant({ keyId: 2 }) }));
    const reader = await open(topic, subscriber(null, { grant: keyGrant() }));
    source.close(1000);
    await source.next();
    await vi.waitFor(async () => expect(await domain.topics("", 9)).toEqual([]));
    expect(await domain.changeKey(1, DEAD, later(), false)).toMatchObject({ closed: 1 });
    expect(await reader.next()).toEqual(KEY_REJECTED);
    expect(await keysOf(domain, "holding:")).toEqual([]);
  });

  test("15.2 the end of a topic that was started again strikes the life that ended, and no other", async () => {
    const { domain } = freshDomain();
    await domain.enter({ holder: "topic/a", life: "one", keyIds: [1] });
    await domain.enter({ holder: "topic/a", life: "two", keyIds: [2] });
    await domain.leave("topic/a", "one", []);
    expect(await domain.topics("", 9)).toMatchObject([{ topic: "a" }]);
    expect(await keysOf(domain, "holding:")).toEqual(["holding:1/topic/a", "holding:2/topic/a"]);
    // The keys of both, but for those that somebody still waits by.
    await domain.leave("topic/a", "two", [2]);
    expect(await domain.topics("", 9)).toEqual([]);
    expect(await keysOf(domain, "holding:")).toEqual(["holding:2/topic/a"]);
  });

  test("15.2 a life keeps its beginning, whoever comes by another key", async () => {
    const { domain } = freshDomain();
    const nowMs = Date.now();
    await at(nowMs, () => domain.enter({ holder: "topic/a", life: "one", keyIds: [1] }));
    await at(nowMs + 5000, () => domain.enter({ holder: "topic/a", life: "one", keyIds: [2] }));
    expect(await domain.liveSince("a")).toBe(nowMs);
    await at(nowMs + 9000, () => domain.enter({ holder: "topic/a", life: "two", keyIds: [2] }));
    expect(await domain.liveSince("a")).toBe(nowMs + 9000);
  });

  test("15.2 a publisher that is refused leaves no topic in the register", async () => {
    const { domain, topic: topicOf } = freshDomain();
    const policy = { ...SHARED, pathKeys: false };
    const join = publisher(policy, { grant: keyGrant(), isKeyInPath: true });
    expect(await answerOf(ask(topicOf(), join))).toBe("key-in-path");
    await vi.waitFor(async () => expect(await domain.topics("", 9)).toEqual([]));
  });

  test("12.7 a topic of version 0.1 is told of every key for as long as it is live", async () => {
    const { domain, topic: topicOf } = freshDomain();
    const source = await open(topicOf(), publisher({}, { grant: keyGrant({ keyId: 2 }) }));
    await runInDurableObject(domain, (_, { storage }) =>
      storage.kv.delete("holding:2/topic/topic"),
    );
    await domain.register("topic", true);
    expect(await domain.changeKey(1, DEAD, later(), false)).toMatchObject({ told: 1 });
    expect(await domain.changeKey(2, DEAD, later(), false)).toMatchObject({ told: 1, closed: 1 });
    expect(await source.next()).toEqual(KEY_REJECTED);
  });

  test("15.2 12.7 what the sweep strikes is entered again when it is needed", async () => {
    const { domain, topic: topicOf } = freshDomain();
    const nowMs = Date.now();
    const topic = topicOf();
    await open(topic, publisher(SHARED, { grant: keyGrant() }));
    const gone = await open(topic, publisher(SHARED, { grant: keyGrant({ keyId: 2 }) }));
    gone.close(1000);
    await gone.next();
    await at(nowMs + DAY_MS + 60_000, () => runDurableObjectAlarm(domain));
    expect(await keysOf(domain, "holding:")).toEqual(["holding:1/topic/topic"]);
    const back = await open(topic, publisher(SHARED, { grant: keyGrant({ keyId: 2 }) }));
    expect(await domain.changeKey(2, DEAD, later(), false)).toMatchObject({ closed: 1 });
    expect(await back.next()).toEqual(KEY_REJECTED);
  });

  test("what version 0.1 has stored is taken over", async () => {
    const { domain, topic: topicOf } = freshDomain();
    const topic = topicOf("old");
    const source = await open(topic, publisher({}, { grant: keyGrant() }));
    const atMs = Date.now();
    await runInDurableObject(domain, async (_, { storage }) => {
      await storage.deleteAll();
      storage.kv.put("topic:old", { sinceMs: 5, seenMs: atMs });
      storage.kv.put("revocation:1", { keyId: 1, atMs: later(), isTold: false });
    });
    await evict(domain);
    expect(await domain.topics("", 9)).toEqual([{ topic: "old", sinceMs: 5 }]);
    expect(await runDurableObjectAlarm(domain)).toBe(true);
    expect(await source.next()).toEqual(KEY_REJECTED);
    expect(await domain.revocations()).toMatchObject([{ keyId: 1 }]);
  });
});

describe("changes", () => {
  test("12.9 older news of a key change nothing, in both directions", async () => {
    const { domain, topic: topicOf } = freshDomain();
    const source = await open(topicOf(), publisher({}, { grant: keyGrant() }));
    const [early, late] = [later(), later()];
    await domain.changeKey(1, LIVE, late, false);
    await domain.changeKey(1, DEAD, early, false);
    await domain.reportDeadKey(1, early);
    const { changes } = await domain.enter({ holder: "topic/x", life: null, keyIds: [1, 2] });
    expect(changes).toMatchObject([{ keyId: 1, standing: LIVE, atMs: late }]);
    await domain.changeKey(1, DEAD, later(), false);
    expect(await source.next()).toEqual(KEY_REJECTED);
    await domain.changeKey(1, LIVE, late, false);
    const again = await domain.enter({ holder: "topic/x", life: null, keyIds: [1] });
    expect(again.changes).toMatchObject([{ standing: DEAD }]);
  });

  test("16.2 older news of a policy change nothing", async () => {
    const { domain } = freshDomain();
    const [early, late] = [later(), later()];
    const policy = { ...DEFAULT_POLICY, maxSubscribers: 5 };
    await domain.changePolicy(policy, late);
    expect(await domain.changePolicy(DEFAULT_POLICY, early)).toMatchObject({ told: 0 });
    const entered = await domain.enter({ holder: "topic/x", life: null, keyIds: [] });
    expect(entered.policy).toMatchObject({ policy, atMs: late });
  });

  test("12.9 changes are known for longer than any cache keeps a grant, and then forgotten", async () => {
    const { domain, topic: topicOf } = freshDomain();
    const nowMs = Date.now();
    await domain.changeKey(1, DEAD, later(), false);
    await domain.changeKey(2, LIVE, later(), false);
    await domain.changePolicy(DEFAULT_POLICY, later());
    const stale = publisher({}, { grant: keyGrant({ checkedAtMs: 1 }), isFresh: false });
    await at(nowMs + HOUR_MS + 60_000, async () => {
      await runDurableObjectAlarm(domain);
      expect(await answerOf(ask(topicOf(), stale))).toBe("needs recheck");
      const { changes, policy } = await domain.enter({
        holder: "topic/x",
        life: null,
        keyIds: [1, 2],
      });
      expect(changes).toHaveLength(2);
      expect(policy).not.toBe(null);
    });
    await evict(domain);
    await at(nowMs + 3 * HOUR_MS, async () => {
      expect(await alarmOf(domain)).toBeLessThanOrEqual(Date.now());
      await runDurableObjectAlarm(domain);
      const { changes, policy } = await domain.enter({
        holder: "topic/x",
        life: null,
        keyIds: [1, 2],
      });
      expect({ changes, policy }).toEqual({ changes: [], policy: null });
    });
  });

  test("12.9 numbers rise even when the clock goes back, and after all was forgotten", async () => {
    const { domain } = freshDomain();
    const nowMs = Date.now();
    const numberOf = async (): Promise<number> => {
      await domain.changeKey(1, DEAD, later(), false);
      const entered = await domain.enter({ holder: "topic/x", life: null, keyIds: [1] });
      return entered.changes[0]?.number ?? NaN;
    };
    const first = await numberOf();
    const second = await at(nowMs - HOUR_MS, numberOf);
    expect(second).toBeGreaterThan(first);
    await runInDurableObject(domain, (_, { storage }) => storage.deleteAll());
    await evict(domain);
    expect(await at(nowMs + 1000, numberOf)).toBeGreaterThan(second);
  });

  test("12.8 of many topics that find a key dead the first is believed, until it was checked again", async () => {
    const { domain, topic: topicOf } = freshDomain();
    const atMs = later();
    await domain.reportDeadKey(1, atMs);
    const [first] = await domain.revocations();
    await domain.reportDeadKey(1, atMs - 1);
    expect(await domain.revocations()).toEqual([first]);
    // Switched on by hand, used, and switched off again: who came in between is closed.
    const source = await open(topicOf(), publisher({}, { grant: keyGrant() }));
    await domain.reportDeadKey(1, atMs);
    expect(callsOf(topicOf(), "applyChange")).toEqual([]);
    await domain.reportDeadKey(1, later());
    expect(await source.next()).toEqual(KEY_REJECTED);
  });
});

test("12.7 an alarm that the runtime has given up is set again when the object wakes", async () => {
  const { domain, topic: topicOf } = freshDomain();
  const topic = topicOf();
  const source = await open(topic, publisher({}, { grant: keyGrant() }));
  failNextCall(topic, { method: "applyChange" });
  await domain.changeKey(1, DEAD, later(), false);
  await runInDurableObject(domain, (_, { storage }) => storage.deleteAlarm());
  await evict(domain);
  await domain.topics("", 1);
  expect(await runDurableObjectAlarm(domain)).toBe(true);
  expect(await source.next()).toEqual(KEY_REJECTED);
});

describe("two words of the key store within two seconds", () => {
  test.each([
    ["the first", LIVE, 0],
    ["the second", DEAD, 1],
  ] as const)("12.9 are settled by a third, which may be %s", async (_, standing, closed) => {
    const { domain, topic: topicOf } = freshDomain();
    const topic = topicOf();
    const source = await open(topic, publisher(SHARED, { grant: keyGrant() }));
    const reader = await open(topic, subscriber());
    const atMs = later();
    await domain.changeKey(1, LIVE, atMs, false);
    const asked: (number | null)[] = [];
    answerKeyDesk(domain, {
      lookUp: (_domain, _keyIds, newerThanMs) => {
        asked.push(newerThanMs);
        return { atMs: atMs + 1500, standings: [{ keyId: 1, standing }], policy: null };
      },
    });
    const told = await domain.changeKey(1, DEAD, atMs + 1000, false);
    expect(told).toMatchObject({ told: 1, closed });
    expect(asked).toEqual([ANEW]);
    // What follows later, or is the same, needs no third word.
    await domain.changeKey(1, standing, atMs + 1600, false);
    await domain.changeKey(1, LIVE, atMs + 1600 + 2001, false);
    expect(asked).toHaveLength(1);
    if (closed === 0) source.send("lives");
    const [socket, item] = closed === 0 ? [reader, "lives"] : [source, KEY_REJECTED];
    await expect(socket.next()).resolves.toEqual(item);
  });

  test("16.2 of a policy, too", async () => {
    const { domain } = freshDomain();
    const policy = { ...DEFAULT_POLICY, maxSubscribers: 5 };
    const atMs = later();
    await domain.changePolicy(policy, atMs);
    answerKeyDesk(domain, { lookUp: () => ({ atMs: atMs + 1500, standings: [], policy }) });
    await domain.changePolicy(DEFAULT_POLICY, atMs + 1000);
    const entered = await domain.enter({ holder: "topic/x", life: null, keyIds: [] });
    expect(entered.policy).toMatchObject({ policy, atMs: atMs + 1500 });
  });

  test("12.9 are ordered by their times where there is no third", async () => {
    const { domain } = freshDomain();
    answerKeyDesk(domain, { lookUp: () => null });
    const atMs = later();
    await domain.changeKey(1, LIVE, atMs, false);
    await domain.changeKey(1, DEAD, atMs + 1000, false);
    expect(await domain.revocations()).toEqual([{ keyId: 1, atMs: atMs + 1000 }]);
  });
});

describe("what it leaves behind", () => {
  test("13.5 tickets that nobody uses are forgotten, at the price of a few alarms", async () => {
    const { domain } = freshDomain();
    const nowMs = Date.now();
    const grant = keyGrant();
    let alarms = 0;
    for (let n = 0; n < 200; n++) {
      await at(nowMs + n * 50, () => domain.issueTicket(`hash-${n}`, "topic", grant));
    }
    for (;;) {
      const due = await alarmOf(domain);
      if (due === null) break;
      alarms += 1;
      await at(due, () => runDurableObjectAlarm(domain));
    }
    // Ten seconds of tickets, looked at every five.
    expect(alarms).toBeLessThanOrEqual(4);
    expect(await keysOf(domain)).toEqual([]);
  });

  test("13.5 a ticket is good to its end, whenever the alarm comes", async () => {
    const { domain } = freshDomain();
    const nowMs = Date.now();
    await at(nowMs, () => domain.issueTicket("a", "topic", keyGrant()));
    await at(nowMs, () => domain.issueTicket("b", "topic", keyGrant()));
    expect(await at(nowMs + 29_999, () => domain.takeTicket("a", "topic"))).not.toBe(null);
    expect(await at(nowMs + 30_000, () => domain.takeTicket("b", "topic"))).toBe(null);
  });

  test("13.5 a ticket is one topic's, and wrong ones are used up by trying", async () => {
    const { domain } = freshDomain();
    await domain.issueTicket("a", "topic", keyGrant());
    expect(await domain.tryTicket("a", "other")).toBe(null);
    expect(await domain.tryTicket("a", "topic")).toBe(null);
    expect(await domain.tryTicket("b", "topic")).toBe(null);
  });

  test("13.7 a ticket that is given back opens again, until its end and never two at a time", async () => {
    const { domain } = freshDomain();
    const [nowMs, grant] = [Date.now(), keyGrant()];
    await at(nowMs, () => domain.issueTicket("a", "topic", grant));
    const ticket = await at(nowMs + 20_000, () => domain.tryTicket("a", "topic"));
    if (ticket === null) throw new Error("Good until 30 seconds are over");
    expect(ticket).toEqual({ grant, untilMs: nowMs + 30_000 });
    expect(await at(nowMs + 20_000, () => domain.tryTicket("a", "topic"))).toBe(null);
    expect(await keysOf(domain, "ticket:")).toEqual([]);
    await evict(domain);
    await at(nowMs + 21_000, () => domain.giveTicketBack("a", "topic", ticket));
    const both = [domain.tryTicket("a", "topic"), domain.tryTicket("a", "topic")];
    const taken = await at(nowMs + 29_999, () => Promise.all(both));
    expect(taken).toEqual([ticket, null]);
    // Too old by now: it is not kept, and nothing is left of it.
    await at(nowMs + 30_000, () => domain.giveTicketBack("a", "topic", ticket));
    expect(await keysOf(domain)).toEqual([]);
  });

  test("13.7 a ticket that is given back and not used is forgotten", async () => {
    const { domain } = freshDomain();
    const nowMs = Date.now();
    await at(nowMs, () => domain.issueTicket("a", "topic", keyGrant()));
    const ticket = await at(nowMs, () => domain.tryTicket("a", "topic"));
    if (ticket === null) throw new Error("It is new");
    // Nothing else is due by now, so that all is forgotten.
    await at(nowMs + 5000, () => runDurableObjectAlarm(domain));
    expect(await alarmOf(domain)).toBe(null);
    await at(nowMs + 6000, () => domain.giveTicketBack("a", "topic", ticket));
    const due = await alarmOf(domain);
    expect(due).not.toBe(null);
    await at(due ?? 0, () => runDurableObjectAlarm(domain));
    expect(await keysOf(domain)).toEqual([]);
  });

  test("a domain whose last topic has ended stores nothing", async () => {
    const { domain, topic: topicOf } = freshDomain();
    const source = await open(topicOf(), publisher({ graceSeconds: 0 }, { grant: keyGrant() }));
    expect(await keysOf(domain)).not.toEqual([]);
    source.close(1000);
    await source.next();
    await vi.waitFor(async () => expect(await keysOf(domain)).toEqual([]));
    expect(await alarmOf(domain)).toBe(null);
  });

  test("15.2 once a day a topic that nobody has heard of is asked, and one that crashed ends", async () => {
    const { domain, topic: topicOf } = freshDomain();
    const nowMs = Date.now();
    const crashed = topicOf("crashed");
    await open(crashed, publisher({}, { grant: keyGrant() }));
    await open(topicOf("quiet"), publisher({}, { grant: keyGrant({ keyId: 2 }) }));
    await crash(crashed);
    await domain.enter({ holder: "topic/lost", life: "a life", keyIds: [3, 4] });
    await at(nowMs + DAY_MS - 60_000, async () => {
      await runDurableObjectAlarm(domain);
      expect(await domain.topics("", 9)).toHaveLength(3);
    });
    await at(nowMs + DAY_MS + 60_000, async () => {
      expect(await alarmOf(domain)).toBeLessThanOrEqual(Date.now());
      await runDurableObjectAlarm(domain);
      await runDurableObjectAlarm(crashed);
      // The grace period of the one that crashed begins when somebody looks.
      expect(await crashed.describe()).toMatchObject({ phase: "grace" });
    });
    expect((await domain.topics("", 9)).map(({ topic }) => topic)).toEqual(["crashed", "quiet"]);
    expect(await keysOf(domain, "holding:")).toEqual(["holding:2/topic/quiet"]);
    await at(nowMs + DAY_MS + 120_000, () => runDurableObjectAlarm(crashed));
    await vi.waitFor(async () => {
      expect((await domain.topics("", 9)).map(({ topic }) => topic)).toEqual(["quiet"]);
    });
  });
});
