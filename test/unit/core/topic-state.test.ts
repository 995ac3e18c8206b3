/** PROTOCOL.md, section 5: every phase with every event, for both kinds of policy. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { DEFAULT_POLICY, type Policy } from "../../../src/core/policy.ts";
import {
  transition,
  VACANT,
  type TopicEvent,
  type TopicState,
} from "../../../src/core/topic-state.ts";

const NOW = 1_000_000;
const exclusive: Policy = DEFAULT_POLICY;
const shared: Policy = { ...DEFAULT_POLICY, publishers: "shared" };
const live: TopicState = { phase: "live", policy: exclusive };
const liveShared: TopicState = { phase: "live", policy: shared };
const grace: TopicState = { phase: "grace", policy: exclusive, deadlineMs: NOW + 1 };
const lapsed: TopicState = { phase: "grace", policy: exclusive, deadlineMs: NOW };

const connect: TopicEvent = {
  type: "publisher-connects",
  policy: exclusive,
  takeover: false,
  incumbentSilent: false,
  publishers: 1,
};
const connectShared: TopicEvent = { ...connect, policy: shared };
const takeover: TopicEvent = { ...connect, takeover: true };
const afterSilence: TopicEvent = { ...connect, incumbentSilent: true };
const lastLeaves: TopicEvent = { type: "publisher-leaves", remaining: 0 };
const oneLeaves: TopicEvent = { type: "publisher-leaves", remaining: 1 };
const subscribe = {
  type: "subscriber-connects",
  policy: null,
  isGranted: false,
  subscribers: 1,
} as const;
const subscribeExclusive: TopicEvent = { ...subscribe, policy: exclusive };
const subscribeShared: TopicEvent = { ...subscribe, policy: shared };
const alarm: TopicEvent = { type: "alarm-fires" };

const displace = { type: "displace-publishers" } as const;
const closeSubscribers = { type: "end-topic" } as const;
function setAlarm(atMs: number): { type: "set-alarm"; atMs: number } {
  return { type: "set-alarm", atMs };
}
const graceBegins: TopicState = { phase: "grace", policy: exclusive, deadlineMs: NOW + 10_000 };

describe("transition", () => {
  test.each([
    // vacant
    ["vacant", VACANT, "connect", connect, live, [], null],
    ["vacant", VACANT, "connect shared", connectShared, liveShared, [], null],
    ["vacant", VACANT, "takeover", takeover, live, [], null],
    ["vacant", VACANT, "leave", lastLeaves, VACANT, [], null],
    ["vacant", VACANT, "subscribe unasked", subscribe, VACANT, [], "policy-needed"],
    ["vacant", VACANT, "subscribe", subscribeExclusive, VACANT, [], "topic-not-live"],
    ["vacant", VACANT, "subscribe shared", subscribeShared, VACANT, [], null],
    ["vacant", VACANT, "alarm", alarm, VACANT, [], null],
    // live, exclusive
    ["live", live, "connect", connect, live, [], "publisher-conflict"],
    ["live", live, "connect shared", connectShared, liveShared, [], null],
    ["live", live, "takeover", takeover, live, [displace], null],
    ["live", live, "connect after silence", afterSilence, live, [displace], null],
    ["live", live, "leave, one remains", oneLeaves, live, [], null],
    ["live", live, "leave", lastLeaves, graceBegins, [setAlarm(NOW + 10_000)], null],
    ["live", live, "subscribe", subscribe, live, [], null],
    ["live", live, "alarm", alarm, live, [], null],
    // live, shared
    ["live shared", liveShared, "connect", connectShared, liveShared, [], null],
    ["live shared", liveShared, "connect exclusive", connect, liveShared, [], "publisher-conflict"],
    ["live shared", liveShared, "leave, one remains", oneLeaves, liveShared, [], null],
    ["live shared", liveShared, "leave", lastLeaves, VACANT, [], null],
    ["live shared", liveShared, "subscribe", subscribe, liveShared, [], null],
    ["live shared", liveShared, "alarm", alarm, liveShared, [], null],
    // grace
    ["grace", grace, "connect", connect, live, [], null],
    ["grace", grace, "takeover", takeover, live, [], null],
    ["grace", grace, "leave", lastLeaves, grace, [], null],
    ["grace", grace, "subscribe", subscribe, grace, [], null],
    ["grace", grace, "alarm, early", alarm, grace, [setAlarm(NOW + 1)], null],
    // grace, after the deadline: whatever happens, the topic ends first
    ["lapsed", lapsed, "connect", connect, live, [closeSubscribers], null],
    ["lapsed", lapsed, "leave", lastLeaves, VACANT, [closeSubscribers], null],
    ["lapsed", lapsed, "subscribe", subscribe, VACANT, [closeSubscribers], "policy-needed"],
    [
      "lapsed",
      lapsed,
      "subscribe asked",
      subscribeExclusive,
      VACANT,
      [closeSubscribers],
      "topic-not-live",
    ],
    ["lapsed", lapsed, "alarm", alarm, VACANT, [closeSubscribers], null],
  ] as const)("5.2 %s: %s", (_phase, state, _name, event, next, effects, refusal) => {
    expect(transition(state, event, NOW)).toEqual({ state: next, effects, refusal });
  });

  test("5.3 without a grace period the topic ends as its publisher leaves", () => {
    const state: TopicState = { phase: "live", policy: { ...exclusive, graceSeconds: 0 } };
    expect(transition(state, lastLeaves, NOW)).toEqual({
      state: VACANT,
      effects: [closeSubscribers],
      refusal: null,
    });
  });

  test("5.4 a domain whose subscribers need a token admits nobody without one", () => {
    const policy: Policy = { ...shared, subscribers: "token" };
    for (const state of [VACANT, { phase: "live", policy } as const]) {
      expect(transition(state, { ...subscribe, policy }, NOW).refusal).toBe("token-required");
      const granted = { ...subscribe, policy, isGranted: true };
      expect(transition(state, granted, NOW).refusal).toBe(null);
    }
  });

  test("an alarm that fires twice changes nothing the second time", () => {
    const once = transition(lapsed, alarm, NOW);
    expect(transition(once.state, alarm, NOW)).toEqual({
      state: once.state,
      effects: [],
      refusal: null,
    });
  });

  test("a grace never outlives its deadline, whatever the events", () => {
    const events = [connect, connectShared, takeover, lastLeaves, oneLeaves, subscribe, alarm];
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
