/** PROTOCOL.md, section 5: every phase with every event, for both kinds of policy. */
import fc from "fast-check";
import * as v from "valibot";
import { describe, expect, test } from "vitest";
import { DEFAULT_POLICY, type Policy } from "../../../src/core/policy.ts";
import {
  TopicStateSchema,
  transition,
  VACANT,
  type TopicEvent,
  type TopicState,
  type Transition,
} from "../../../src/core/topic-state.ts";

const NOW = 1_000_000;
const exclusive: Policy = DEFAULT_POLICY;
const shared: Policy = { ...DEFAULT_POLICY, publishers: "shared" };
const AT = 500_000;
const life = { life: "one", policy: exclusive, policyAtMs: AT };
const live: TopicState = { phase: "live", ...life };
const liveShared: TopicState = { phase: "live", ...life, policy: shared };
const grace: TopicState = { phase: "grace", ...life, deadlineMs: NOW + 1 };
const lapsed: TopicState = { phase: "grace", ...life, deadlineMs: NOW };
/** What a new life looks like. */
const reborn: TopicState = { ...live, life: "two" };
const rebornShared: TopicState = { ...liveShared, life: "two" };

const connect = {
  type: "publisher-connects",
  policy: exclusive,
  policyAtMs: AT,
  life: "two",
  isKeyInPath: false,
  isByToken: false,
  mayDisplace: true,
  takeover: false,
  incumbentSilent: false,
  publishers: 1,
} as const;
const connectShared: TopicEvent = { ...connect, policy: shared };
const takeover: TopicEvent = { ...connect, takeover: true };
const afterSilence: TopicEvent = { ...connect, incumbentSilent: true };
const lastLeaves: TopicEvent = { type: "publisher-leaves", remaining: 0 };
const oneLeaves: TopicEvent = { type: "publisher-leaves", remaining: 1 };
const subscribe = {
  type: "subscriber-connects",
  policy: null,
  isGranted: false,
  readsPast: false,
  waits: false,
  subscribers: 1,
} as const;
const read: TopicEvent = { ...subscribe, policy: exclusive, readsPast: true };
const wait: TopicEvent = { ...subscribe, policy: exclusive, waits: true };
const subscribeExclusive: TopicEvent = { ...subscribe, policy: exclusive };
const subscribeShared: TopicEvent = { ...subscribe, policy: shared };
const finishes: TopicEvent = { type: "publisher-finishes" };
const alarm: TopicEvent = { type: "time-passes" };

const displace = { type: "displace-publishers" } as const;
const abandon = { type: "end-topic", reason: "abandoned" } as const;
const finish = { type: "end-topic", reason: "finished" } as const;
const graceBegins: TopicState = {
  phase: "grace",
  ...life,
  deadlineMs: NOW + 10_000,
  graceMs: 10_000,
};

function refusalOf({ refusal }: Transition): string | null {
  if (refusal === null) return null;
  return refusal.type === "refused" ? refusal.slug : `needs ${refusal.what}`;
}

describe("transition", () => {
  test.each([
    // vacant
    ["vacant", VACANT, "connect", connect, reborn, [], null],
    ["vacant", VACANT, "connect shared", connectShared, rebornShared, [], null],
    ["vacant", VACANT, "takeover", takeover, reborn, [], null],
    ["vacant", VACANT, "leave", lastLeaves, VACANT, [], null],
    ["vacant", VACANT, "subscribe unasked", subscribe, VACANT, [], "needs policy"],
    ["vacant", VACANT, "subscribe", subscribeExclusive, VACANT, [], "topic-not-live"],
    ["vacant", VACANT, "read unasked", { ...read, policy: null }, VACANT, [], "needs policy"],
    ["vacant", VACANT, "read", read, VACANT, [], null],
    ["vacant", VACANT, "wait unasked", { ...wait, policy: null }, VACANT, [], "needs policy"],
    ["vacant", VACANT, "wait", wait, VACANT, [], null],
    ["vacant", VACANT, "subscribe shared", subscribeShared, VACANT, [], null],
    ["vacant", VACANT, "finish", finishes, VACANT, [], null],
    ["vacant", VACANT, "alarm", alarm, VACANT, [], null],
    // live, exclusive
    ["live", live, "connect", connect, live, [], "publisher-conflict"],
    ["live", live, "connect shared", connectShared, liveShared, [], null],
    ["live", live, "takeover", takeover, live, [displace], null],
    ["live", live, "connect after silence", afterSilence, live, [displace], null],
    ["live", live, "leave, one remains", oneLeaves, live, [], null],
    ["live", live, "leave", lastLeaves, graceBegins, [], null],
    ["live", live, "subscribe", subscribe, live, [], null],
    ["live", live, "wait", wait, live, [], null],
    ["live", live, "finish", finishes, VACANT, [finish], null],
    ["live", live, "alarm", alarm, live, [], null],
    // live, shared
    ["live shared", liveShared, "connect", connectShared, liveShared, [], null],
    ["live shared", liveShared, "connect exclusive", connect, liveShared, [], "publisher-conflict"],
    ["live shared", liveShared, "leave, one remains", oneLeaves, liveShared, [], null],
    ["live shared", liveShared, "leave", lastLeaves, VACANT, [], null],
    ["live shared", liveShared, "subscribe", subscribe, liveShared, [], null],
    ["live shared", liveShared, "finish", finishes, liveShared, [], null],
    ["live shared", liveShared, "alarm", alarm, liveShared, [], null],
    // grace
    ["grace", grace, "connect", connect, live, [], null],
    ["grace", grace, "takeover", takeover, live, [], null],
    ["grace", grace, "leave", lastLeaves, grace, [], null],
    ["grace", grace, "subscribe", subscribe, grace, [], null],
    ["grace", grace, "finish", finishes, VACANT, [finish], null],
    ["grace", grace, "alarm, early", alarm, grace, [], null],
    // grace, after the deadline: whatever happens, the topic ends first
    ["lapsed", lapsed, "connect", connect, reborn, [abandon], null],
    ["lapsed", lapsed, "leave", lastLeaves, VACANT, [abandon], null],
    ["lapsed", lapsed, "subscribe", subscribe, VACANT, [abandon], "needs policy"],
    ["lapsed", lapsed, "subscribe asked", subscribeExclusive, VACANT, [abandon], "topic-not-live"],
    ["lapsed", lapsed, "finish", finishes, VACANT, [abandon], null],
    ["lapsed", lapsed, "read", read, VACANT, [abandon], null],
    ["lapsed", lapsed, "wait", wait, VACANT, [abandon], null],
    ["lapsed", lapsed, "alarm", alarm, VACANT, [abandon], null],
  ] as const)("5.2 %s: %s", (_phase, state, _name, event, next, effects, refusal) => {
    const transitioned = transition(state, event, NOW);
    expect(transitioned).toMatchObject({ state: next, effects });
    expect(refusalOf(transitioned)).toBe(refusal);
  });

  test("5.3 without a grace period the topic ends as its publisher leaves", () => {
    const state: TopicState = { ...live, policy: { ...exclusive, graceSeconds: 0 } };
    expect(transition(state, lastLeaves, NOW)).toEqual({
      state: VACANT,
      effects: [abandon],
      refusal: null,
    });
  });

  test("5.4 a domain whose subscribers need a token admits nobody without one", () => {
    const policy: Policy = { ...shared, subscribers: "token" };
    for (const state of [VACANT, { ...live, policy }, { ...grace, policy }]) {
      const stranger = transition(state, { ...subscribe, policy }, NOW);
      expect(refusalOf(stranger)).toBe("token-required");
      const granted = { ...subscribe, policy, isGranted: true };
      expect(transition(state, granted, NOW).refusal).toBe(null);
    }
  });

  test("9.12 who waits obeys what the domain allows", () => {
    const policy: Policy = { ...exclusive, subscribers: "token", maxSubscribers: 1 };
    expect(refusalOf(transition(VACANT, { ...wait, policy }, NOW))).toBe("token-required");
    const granted = { ...wait, policy, isGranted: true };
    expect(refusalOf(transition(VACANT, granted, NOW))).toBe("too-many-subscribers");
    expect(transition(VACANT, { ...granted, subscribers: 0 }, NOW).refusal).toBe(null);
  });

  test("9.11 who reads what is over obeys what the domain allows", () => {
    const policy: Policy = { ...exclusive, subscribers: "token", maxSubscribers: 1 };
    expect(refusalOf(transition(VACANT, { ...read, policy }, NOW))).toBe("token-required");
    const granted = { ...read, policy, isGranted: true };
    expect(refusalOf(transition(VACANT, granted, NOW))).toBe("too-many-subscribers");
    expect(refusalOf(transition(VACANT, { ...granted, subscribers: 0 }, NOW))).toBe(null);
  });

  test("12.5 a key in the path is refused where the domain takes none, in whatever phase", () => {
    const policy: Policy = { ...exclusive, pathKeys: false };
    for (const state of [VACANT, live, grace, lapsed]) {
      const inPath = { ...connect, policy, isKeyInPath: true };
      expect(refusalOf(transition(state, inPath, NOW))).toBe("key-in-path");
      expect(refusalOf(transition(state, { ...takeover, policy }, NOW))).toBe(null);
    }
  });

  test("13.12 a token publishes where the domain takes it, in whatever phase", () => {
    for (const state of [VACANT, live, grace, lapsed]) {
      const byToken = { ...connect, takeover: true, isByToken: true };
      expect(refusalOf(transition(state, byToken, NOW))).toBe("token-publishers-off");
      const policy: Policy = { ...exclusive, tokenPublishers: true };
      expect(refusalOf(transition(state, { ...byToken, policy }, NOW))).toBe(null);
    }
  });

  test("13.13 who may not displace the incumbent meets a conflict, and comes where nobody is", () => {
    for (const wants of [{ takeover: true }, { incumbentSilent: true }]) {
      const newcomer = { ...connect, ...wants, mayDisplace: false };
      const refused = transition(live, newcomer, NOW);
      expect(refusalOf(refused)).toBe("publisher-conflict");
      expect(refused).toMatchObject({ state: live, effects: [] });
      for (const state of [VACANT, grace, lapsed, liveShared]) {
        const policy = state === liveShared ? shared : exclusive;
        expect(refusalOf(transition(state, { ...newcomer, policy }, NOW))).toBe(null);
      }
    }
  });

  const change = { type: "policy-changes", policyAtMs: AT + 1, publishers: 1 } as const;
  const changed: Policy = { ...exclusive, maxSubscribers: 7 };
  const keepFirst = { type: "keep-first-publisher" } as const;
  test.each([
    ["vacant", VACANT, { ...change, policy: changed }, VACANT, []],
    [
      "live",
      live,
      { ...change, policy: changed },
      { ...live, policy: changed, policyAtMs: AT + 1 },
      [],
    ],
    [
      "live, to shared",
      live,
      { ...change, policy: shared },
      { ...liveShared, policyAtMs: AT + 1 },
      [],
    ],
    [
      "live shared, to exclusive, with several",
      liveShared,
      { ...change, policy: exclusive, publishers: 2 },
      { ...live, policyAtMs: AT + 1 },
      [keepFirst],
    ],
    [
      "live shared, to exclusive, with one",
      liveShared,
      { ...change, policy: exclusive },
      { ...live, policyAtMs: AT + 1 },
      [],
    ],
    [
      "live shared, several stay",
      liveShared,
      { ...change, policy: shared, publishers: 2 },
      { ...liveShared, policyAtMs: AT + 1 },
      [],
    ],
    // The deadline stays: who left was promised the time that was set then.
    [
      "grace",
      grace,
      { ...change, policy: changed },
      { ...grace, policy: changed, policyAtMs: AT + 1 },
      [],
    ],
    ["grace, to shared: nothing ends", grace, { ...change, policy: shared }, VACANT, []],
    ["lapsed", lapsed, { ...change, policy: changed }, VACANT, [abandon]],
  ] as const)("16.3 the policy changes: %s", (_name, state, event, next, effects) => {
    expect(transition(state, event, NOW)).toEqual({ state: next, effects, refusal: null });
  });

  test("an alarm that fires twice changes nothing the second time", () => {
    const once = transition(lapsed, alarm, NOW);
    expect(transition(once.state, alarm, NOW)).toEqual({
      state: once.state,
      effects: [],
      refusal: null,
    });
  });

  test("a grace is no longer for a clock that was ahead when it began", () => {
    const setBack = NOW - 3_600_000;
    const { state } = transition(graceBegins, subscribe, setBack);
    expect(state).toEqual({ ...graceBegins, deadlineMs: setBack + 10_000 });
    expect(transition(graceBegins, alarm, NOW).state).toBe(graceBegins);
    expect(v.parse(TopicStateSchema, graceBegins)).toEqual(graceBegins);
    const post: TopicEvent = {
      type: "post",
      life: "two",
      policy: exclusive,
      policyAtMs: AT,
      publishers: 0,
      isByToken: false,
    };
    const { state: prolonged } = transition(grace, post, NOW);
    const graceMs = exclusive.graceSeconds * 1000 + 1000;
    expect(transition(prolonged, alarm, setBack).state).toMatchObject({
      deadlineMs: setBack + graceMs,
    });
    // One of a version that did not say how long it is.
    expect(transition(grace, alarm, setBack).state).toBe(grace);
  });

  test("a grace never outlives its deadline, whatever the events", () => {
    const events = [
      connect,
      connectShared,
      takeover,
      lastLeaves,
      oneLeaves,
      finishes,
      subscribe,
      wait,
      alarm,
    ];
    const step = fc.record({ event: fc.constantFrom(...events), waitMs: fc.nat({ max: 15_000 }) });
    fc.assert(
      fc.property(fc.array(step), (steps) => {
        let state: TopicState = VACANT;
        let nowMs = NOW;
        for (const { event, waitMs } of steps) {
          nowMs += waitMs;
          state = transition(state, event, nowMs).state;
          const deadlineMs = state.phase === "grace" ? state.deadlineMs : Infinity;
          expect(deadlineMs).toBeGreaterThan(nowMs);
        }
      }),
    );
  });
});
