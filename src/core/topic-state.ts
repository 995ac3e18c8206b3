/**
 * The life of a topic (PROTOCOL.md, section 5) as a pure function: state and event in, state and
 * effects out. Knows no clock, socket or storage; the Topic carries the effects out.
 * Invariant: whatever the event, a grace whose deadline has passed ends first, so that a late alarm
 * and a lost one look alike.
 */
import * as v from "valibot";
import type { Refusal } from "./admission.ts";
import { PolicySchema, type Policy } from "./policy.ts";

/** Which phase a topic is in, and what holds in it; times in milliseconds since the epoch. */
export type TopicState =
  | { readonly phase: "vacant" }
  | { readonly phase: "live"; readonly policy: Policy }
  | { readonly phase: "grace"; readonly policy: Policy; readonly deadlineMs: number };

/** Validates a state that comes from storage. */
export const TopicStateSchema: v.GenericSchema<unknown, TopicState> = v.variant("phase", [
  v.object({ phase: v.literal("vacant") }),
  v.object({ phase: v.literal("live"), policy: PolicySchema }),
  v.object({ phase: v.literal("grace"), policy: PolicySchema, deadlineMs: v.number() }),
]);

/** The state of a topic that nobody has started. */
export const VACANT: TopicState = { phase: "vacant" };

/** What can happen to a topic. */
export type TopicEvent =
  | {
      readonly type: "publisher-connects";
      readonly policy: Policy;
      /** It asked for `?takeover=1`. */
      readonly takeover: boolean;
      /** The incumbent used heartbeats and missed three. */
      readonly incumbentSilent: boolean;
      /** Those that are there. */
      readonly publishers: number;
    }
  /** `remaining` counts the publishers without the one that left. */
  | { readonly type: "publisher-leaves"; readonly remaining: number }
  | {
      readonly type: "subscriber-connects";
      readonly policy: Policy | null;
      /** It presented a key or a token that opens the topic. */
      readonly isGranted: boolean;
      /** Those that are there. */
      readonly subscribers: number;
    }
  | { readonly type: "alarm-fires" };

/** What the Topic must do, in this order. */
export type TopicEffect =
  | { readonly type: "displace-publishers" }
  /** Nobody took the topic over: its subscribers leave, and its log unless that is kept for a time. */
  | { readonly type: "end-topic" }
  | { readonly type: "set-alarm"; readonly atMs: number };

/** The outcome of an event. */
export interface Transition {
  readonly state: TopicState;
  readonly effects: readonly TopicEffect[];
  /** Why the socket that connects may not, `null` when it may or when none does. */
  readonly refusal: Refusal | null;
}

/** Applies an event at a time, in milliseconds since the epoch. */
export function transition(state: TopicState, event: TopicEvent, nowMs: number): Transition {
  if (state.phase === "grace" && nowMs >= state.deadlineMs) {
    const after = transition(VACANT, event, nowMs);
    return { ...after, effects: [{ type: "end-topic" }, ...after.effects] };
  }
  switch (event.type) {
    case "publisher-connects":
      return publisherConnects(state, event);
    case "publisher-leaves":
      return publisherLeaves(state, event.remaining, nowMs);
    case "subscriber-connects":
      return { state, effects: [], refusal: refuseSubscriber(state, event) };
    case "alarm-fires":
      // Early: the deadline moved since the alarm was set.
      return state.phase === "grace"
        ? go(state, { type: "set-alarm", atMs: state.deadlineMs })
        : go(state);
  }
}

function publisherConnects(
  state: TopicState,
  event: Extract<TopicEvent, { type: "publisher-connects" }>,
): Transition {
  const next: TopicState = { phase: "live", policy: event.policy };
  if (event.policy.publishers === "shared") {
    const isFull = event.publishers >= (event.policy.maxPublishers ?? Infinity);
    return isFull ? { state, effects: [], refusal: "too-many-publishers" } : go(next);
  }
  if (state.phase !== "live") return go(next);
  if (!event.takeover && !event.incumbentSilent) {
    return { state, effects: [], refusal: "publisher-conflict" };
  }
  return go(next, { type: "displace-publishers" });
}

function publisherLeaves(state: TopicState, remaining: number, nowMs: number): Transition {
  if (state.phase !== "live" || remaining > 0) return go(state);
  // Subscribers of a shared topic may wait on a vacant one, so nothing ends and nothing is timed.
  if (state.policy.publishers === "shared") return go(VACANT);
  const graceMs = state.policy.graceSeconds * 1000;
  if (graceMs === 0) return go(VACANT, { type: "end-topic" });
  const deadlineMs = nowMs + graceMs;
  return go(
    { phase: "grace", policy: state.policy, deadlineMs },
    { type: "set-alarm", atMs: deadlineMs },
  );
}

function refuseSubscriber(
  state: TopicState,
  event: Extract<TopicEvent, { type: "subscriber-connects" }>,
): Refusal | null {
  const policy = state.phase === "vacant" ? event.policy : state.policy;
  if (policy === null) return "policy-needed";
  if (policy.subscribers === "token" && !event.isGranted) return "token-required";
  if (state.phase === "vacant" && policy.publishers === "exclusive") return "topic-not-live";
  if (event.subscribers >= (policy.maxSubscribers ?? Infinity)) return "too-many-subscribers";
  return null;
}

function go(state: TopicState, ...effects: TopicEffect[]): Transition {
  return { state, effects, refusal: null };
}
