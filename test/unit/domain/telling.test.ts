/** How a domain tells of changes when objects cannot be reached, and what it holds while Postgres cannot be. */
import { runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { describe, expect, test } from "vitest";
import { DEFAULT_POLICY } from "../../../src/core/policy.ts";
import type { Domain } from "../../../src/domain/domain.ts";
import { Clock } from "../../support-in-workerd/clock.ts";
import {
  answerKeyDesk,
  callsOf,
  failNextCall,
  holdNextCall,
} from "../../support-in-workerd/faults.ts";
import { keyGrant } from "../support/grants.ts";
import { later } from "../support/later.ts";
import { answerOf, ask, open, publisher, subscriber } from "../support/sockets.ts";
import { evict, freshDomain, wake } from "../support/topics.ts";

const KEY_REJECTED = { code: 4501, reason: "key-rejected" };
const DEAD = { type: "dead" } as const;
const SHARED = { publishers: "shared" } as const;

function keysOf(domain: DurableObjectStub<Domain>, prefix: string): Promise<string[]> {
  return runInDurableObject(domain, (_, { storage }) =>
    Array.from(storage.kv.list({ prefix }), ([key]) => key),
  );
}

function alarmOf(domain: DurableObjectStub<Domain>): Promise<number | null> {
  return runInDurableObject(domain, (_, { storage }) => storage.getAlarm());
}

describe.each([
  { name: "awake", settle: wake },
  { name: "evicted between steps", settle: evict },
])("objects that cannot be reached, $name", ({ settle }) => {
  test("12.7 the one that was missed is told again, and nobody else", async () => {
    const { domain, topic: topicOf } = freshDomain();
    const [near, far] = [topicOf("near"), topicOf("far")];
    await open(near, publisher({}, { grant: keyGrant() }));
    const source = await open(far, publisher({}, { grant: keyGrant() }));
    failNextCall(far, { method: "applyChange", times: 2 });
    const told = await domain.changeKey(1, DEAD, later(), false);
    expect(told).toEqual({ closed: 1, told: 1, missed: 1, isHeld: false });
    await settle(domain);
    await runDurableObjectAlarm(domain);
    await settle(domain);
    await runDurableObjectAlarm(domain);
    expect(await source.next()).toEqual(KEY_REJECTED);
    expect(callsOf(near, "applyChange")).toHaveLength(1);
    expect(callsOf(far, "applyChange")).toHaveLength(3);
    expect(await keysOf(domain, "pending:")).toEqual([]);
    expect(await keysOf(domain, "missed:")).toEqual([]);
  });

  test("12.7 so is one that missed a new end", async () => {
    const { domain, topic: topicOf } = freshDomain();
    const topic = topicOf();
    const atMs = Date.now() + 3_600_000;
    await open(topic, publisher({}, { grant: keyGrant() }));
    failNextCall(topic, { method: "applyChange" });
    await domain.changeKey(1, { type: "live", expiresAtMs: atMs }, later(), false);
    await settle(domain);
    await runDurableObjectAlarm(domain);
    expect(await runInDurableObject(topic, (_, { storage }) => storage.getAlarm())).toBe(atMs);
  });

  test("16.1 and one that missed a policy", async () => {
    const { domain, topic: topicOf } = freshDomain();
    const topic = topicOf();
    await open(topic, publisher({}, { grant: keyGrant() }));
    const stranger = await open(topic, subscriber());
    failNextCall(topic, { method: "applyChange" });
    const policy = { ...DEFAULT_POLICY, subscribers: "token" } as const;
    expect(await domain.changePolicy(policy, later())).toMatchObject({ told: 0, missed: 1 });
    await settle(domain);
    await runDurableObjectAlarm(domain);
    expect(await stranger.next()).toEqual({ code: 4501, reason: "token-required" });
  });

  test("12.9 what was missed and is outdated by now is not told any more", async () => {
    const { domain, topic: topicOf } = freshDomain();
    const topic = topicOf();
    const source = await open(topic, publisher({}, { grant: keyGrant() }));
    const reader = await open(topic, subscriber());
    failNextCall(topic, { method: "applyChange" });
    await domain.changeKey(1, DEAD, later(), false);
    await settle(domain);
    await domain.changeKey(1, { type: "live", expiresAtMs: null }, later(), false);
    await settle(domain);
    await runDurableObjectAlarm(domain);
    source.send("switched on again");
    expect(await reader.next()).toBe("switched on again");
    expect(callsOf(topic, "applyChange").map(({ args }) => args[0])).toMatchObject([
      { standing: DEAD },
      { standing: { type: "live" } },
    ]);
  });

  test("12.7 one whose answer was lost is told again, and does nothing twice", async () => {
    const { domain, topic: topicOf } = freshDomain();
    const topic = topicOf();
    const source = await open(topic, publisher(SHARED, { grant: keyGrant() }));
    failNextCall(topic, { method: "applyChange", isDelivered: true });
    await domain.changeKey(1, DEAD, later(), false);
    expect(await source.next()).toEqual(KEY_REJECTED);
    // Switched on by hand meanwhile, of which the domain knows nothing.
    const again = await open(topic, publisher(SHARED, { grant: keyGrant() }));
    const reader = await open(topic, subscriber());
    await settle(domain);
    await runDurableObjectAlarm(domain);
    again.send("still here");
    expect(await reader.next()).toBe("still here");
  });
});

test("12.9 a change that is overtaken while it is told leaves nothing behind", async () => {
  const { domain, topic: topicOf } = freshDomain();
  const topic = topicOf();
  const source = await open(topic, publisher({}, { grant: keyGrant() }));
  const reader = await open(topic, subscriber());
  using call = holdNextCall(topic, { method: "applyChange", what: "call" });
  const overtaken = domain.changeKey(1, DEAD, later(), false);
  await call.reached();
  await domain.changeKey(1, { type: "live", expiresAtMs: null }, later(), false);
  call.release();
  await overtaken;
  source.send("lives");
  expect(await reader.next()).toBe("lives");
  expect(await keysOf(domain, "pending:")).toEqual([]);
  expect(await keysOf(domain, "missed:")).toEqual([]);
});

test("12.7 an object that enters a key again meanwhile is not struck for what it said before", async () => {
  const { domain, topic: topicOf } = freshDomain();
  const topic = topicOf();
  await open(topic, publisher(SHARED, { grant: keyGrant() }));
  await open(topic, subscriber(SHARED));
  using answer = holdNextCall(topic, { method: "applyChange" });
  const told = domain.changeKey(1, DEAD, later(), false);
  await answer.reached();
  const again = await open(topic, publisher(SHARED, { grant: keyGrant() }));
  answer.release();
  await told;
  expect(await keysOf(domain, "holding:")).toEqual(["holding:1/topic/topic"]);
  await domain.changeKey(1, DEAD, later(), false);
  expect(await again.next()).toEqual(KEY_REJECTED);
});

test("12.7 what fails is tried again less and less often, within five minutes, and given up with the change", async () => {
  const { domain, topic: topicOf } = freshDomain();
  using clock = new Clock();
  const topic = topicOf();
  await open(topic, publisher({}, { grant: keyGrant({ checkedAtMs: clock.nowMs }) }));
  const fault = failNextCall(topic, { method: "applyChange", times: Infinity });
  await domain.changeKey(1, DEAD, clock.nowMs + 1, false);
  await clock.advance(60_000, domain);
  const inAMinute = fault.struck;
  expect(inAMinute).toBeGreaterThanOrEqual(4);
  expect(inAMinute).toBeLessThanOrEqual(8);
  await clock.advance(3_600_000, domain);
  const inAnHour = fault.struck - inAMinute;
  expect(inAnHour).toBeGreaterThanOrEqual(12);
  expect(inAnHour).toBeLessThanOrEqual(18);
  await clock.advance(2 * 3_600_000, domain);
  expect(await keysOf(domain, "pending:")).toEqual([]);
  expect(await keysOf(domain, "missed:")).toEqual([]);
  fault.stop();
});

// It makes 1,100 objects.
const MANY = { timeout: 60_000 };

test("12.7 where an event may make no more calls the next alarm goes on", MANY, async () => {
  const { domain, topic: topicOf } = freshDomain();
  await runInDurableObject(domain, async (instance) => {
    for (let n = 0; n < 1100; n++) {
      const holder = `topic/${String(n).padStart(4, "0")}`;
      await instance.enter({ holder, life: null, keyIds: [1] });
    }
  });
  const last = topicOf("9999");
  const source = await open(last, publisher({}, { grant: keyGrant() }));
  const spent = topicOf("0500");
  const error = new Error("Too many subrequests by single Worker invocation.");
  failNextCall(spent, { method: "applyChange", error });
  const told = await domain.changeKey(1, DEAD, later(), false);
  // 1,000 at a time, and those who were not called are missed, too.
  expect(told).toMatchObject({ told: 999, missed: 102 });
  await evict(domain);
  await runDurableObjectAlarm(domain);
  expect(await source.next()).toEqual(KEY_REJECTED);
  expect(callsOf(spent, "applyChange")).toHaveLength(2);
  expect(callsOf(topicOf("0499"), "applyChange")).toHaveLength(1);
  expect(await keysOf(domain, "holding:")).toEqual([]);
  expect(await keysOf(domain, "pending:")).toEqual([]);
});

describe("15.5 a revocation that Postgres cannot be told of", () => {
  test("holds at once, whatever Postgres says of the key, and is delivered when it answers", async () => {
    const { domain, topic: topicOf } = freshDomain();
    using clock = new Clock();
    const topic = topicOf();
    const source = await open(
      topic,
      publisher(SHARED, { grant: keyGrant({ checkedAtMs: clock.nowMs }) }),
    );
    let answer: { atMs: number; isKnown: boolean } | null = null;
    answerKeyDesk(domain, { revoke: () => answer, lookUp: () => null });
    expect(await domain.holdRevocation(1)).toMatchObject({ closed: 1, isHeld: true });
    expect(await source.next()).toEqual(KEY_REJECTED);
    const join = (): ReturnType<typeof publisher> =>
      publisher(SHARED, { grant: keyGrant({ checkedAtMs: clock.nowMs }) });
    for (const wakeOrSleep of [wake, evict]) {
      await wakeOrSleep(domain);
      // A sync that says "live", or "switched off", which is not for good.
      for (const standing of [{ type: "live", expiresAtMs: null } as const, DEAD]) {
        const told = await domain.changeKey(1, standing, clock.nowMs, false);
        expect(told).toEqual({ closed: 0, told: 0, missed: 0, isHeld: true });
      }
      // A topic that has ended is another object when somebody comes again.
      for (const where of [topicOf(), topicOf("elsewhere")]) {
        expect(await answerOf(ask(where, join()))).toBe("key-rejected");
      }
      await clock.advance(3 * 3_600_000, domain);
    }
    expect(callsOf({ keyDeskOf: domain }, "revoke").length).toBeGreaterThan(10);
    answer = { atMs: clock.nowMs, isKnown: true };
    await clock.advance(300_000, domain);
    const calls = callsOf({ keyDeskOf: domain }, "revoke").length;
    expect(await answerOf(ask(topicOf(), join()))).toBe(null);
    await clock.advance(3_600_000, domain);
    expect(callsOf({ keyDeskOf: domain }, "revoke")).toHaveLength(calls);
  });

  test("is tried again when the key desk fails", async () => {
    const { domain } = freshDomain();
    using clock = new Clock();
    let revoked = 0;
    answerKeyDesk(domain, { revoke: () => ({ atMs: clock.nowMs, isKnown: (revoked += 1) > 0 }) });
    failNextCall({ keyDeskOf: domain });
    await domain.holdRevocation(1);
    await clock.advance(6000, domain);
    expect(revoked).toBe(0);
    await clock.advance(60_000, domain);
    expect(revoked).toBe(1);
    expect(await keysOf(domain, "held:")).toEqual([]);
  });

  test("is brought there at once although the key desk ends meanwhile", async () => {
    const { domain } = freshDomain();
    // Alarms stand on whole steps of five seconds.
    using clock = new Clock({ startMs: Math.ceil(Date.now() / 5000) * 5000 + 3_600_000 });
    answerKeyDesk(domain, { revoke: () => ({ atMs: clock.nowMs, isKnown: true }) });
    const error = Object.assign(new Error("reset"), { durableObjectReset: true });
    failNextCall({ keyDeskOf: domain }, { method: "revoke", error });
    await domain.holdRevocation(1);
    await clock.advance(5000, domain);
    expect(await keysOf(domain, "held:")).toEqual([]);
  });

  test("ends when Postgres has it for good, whoever brings it there", async () => {
    const { domain } = freshDomain();
    await domain.holdRevocation(1);
    const atMs = later();
    expect(await domain.changeKey(1, DEAD, atMs, true)).toMatchObject({ isHeld: false });
    expect(await keysOf(domain, "held:")).toEqual([]);
    expect(await domain.revocations()).toEqual([{ keyId: 1, atMs }]);
    expect(await alarmOf(domain)).not.toBe(null);
  });
});
