/**
 * The life of a topic (PROTOCOL.md, section 5) as a pure function: state and event in, state and
 * effects out. Knows no clock, socket or storage; the Topic carries the effects out.
 * Invariant: whatever the event, a grace whose deadline has passed ends first, so that a late alarm
 * and a lost one look alike.
 */
import * as v from "valibot";
import type { Answer, RefusalSlug } from "./admission.ts";
import type { EndReason } from "./end-reason.ts";
import { PolicySchema, type Policy } from "./policy.ts";

/** Which phase a topic is in, and what holds in it; times in milliseconds since the epoch. */
export type TopicState = VacantState | LiveState | GraceState;

/** Nobody has started the topic. */
export interface VacantState {
  readonly phase: "vacant";
}

/** What a topic has from its start to its end. */
export interface Life {
  /** Names this life; `""` for one that version 0.1 began. */
  readonly life: string;
  readonly policy: Policy;
  /** When the policy held, by the key store's clock. */
  readonly policyAtMs: number;
}

/** Publishers are there. */
export interface LiveState extends Life {
  readonly phase: "live";
}

/** The publisher has left, and another may take over. */
export interface GraceState extends Life {
  readonly phase: "grace";
  readonly deadlineMs: number;
  /** How long it is at most, in milliseconds: no longer for a clock that was ahead when it began. */
  readonly graceMs?: number | undefined;
}

// Version 0.1 stored neither of the optional ones.
const LIFE_ENTRIES = {
  life: v.optional(v.string(), ""),
  policy: PolicySchema,
  policyAtMs: v.optional(v.number(), 0),
};

/** Validates a state that comes from storage. */
export const TopicStateSchema: v.GenericSchema<unknown, TopicState> = v.variant("phase", [
  v.object({ phase: v.literal("vacant") }),
  v.object({ phase: v.literal("live"), ...LIFE_ENTRIES }),
  v.object({
    phase: v.literal("grace"),
    ...LIFE_ENTRIES,
    deadlineMs: v.number(),
    // Version 0.1 stored none.
    graceMs: v.optional(v.number()),
  }),
]);

/** The state of a topic that nobody has started. */
export const VACANT: VacantState = { phase: "vacant" };

/** What can happen to a topic. */
export type TopicEvent =
  | {
      readonly type: "publisher-connects";
      /** The newest that is known. */
      readonly policy: Policy;
      readonly policyAtMs: number;
      /** Names the life that begins if none is under way. */
      readonly life: string;
      /** It asked for `?takeover=1`. */
      readonly takeover: boolean;
      readonly isKeyInPath: boolean;
      readonly isByToken: boolean;
      /** It may displace the incumbent: a token displaces none but its own subject's. */
      readonly mayDisplace: boolean;
      /** The incumbent used heartbeats and missed three. */
      readonly incumbentSilent: boolean;
      /** Those that are there and need not make room. */
      readonly publishers: number;
    }
  /** Somebody publishes who holds no socket: it displaces nobody, and takes nobody's place. */
  | {
      readonly type: "post";
      /** The newest that is known. */
      readonly policy: Policy;
      readonly policyAtMs: number;
      /** Names the life that begins if none is under way. */
      readonly life: string;
      readonly isByToken: boolean;
      /** Those whose sockets are there. */
      readonly publishers: number;
    }
  /** `remaining` counts the publishers without the one that left. */
  | { readonly type: "publisher-leaves"; readonly remaining: number }
  | {
      readonly type: "subscriber-connects";
      readonly policy: Policy | null;
      /** It presented a key or a token that opens the topic. */
      readonly isGranted: boolean;
      /** It asks for the past, and there is some of a life that is over. */
      readonly readsPast: boolean;
      /** It waits for the topic to start. */
      readonly waits: boolean;
      /** Those that are there, or wait or read likewise, and need not make room. */
      readonly subscribers: number;
    }
  | {
      readonly type: "policy-changes";
      readonly policy: Policy;
      readonly policyAtMs: number;
      readonly publishers: number;
    }
  /** A publisher says that nothing follows. */
  | { readonly type: "publisher-finishes" }
  /** Somebody deletes the topic, with whoever is there. */
  | { readonly type: "topic-deleted" }
  /** Nothing but the clock went on. */
  | { readonly type: "time-passes" };

/** What the Topic must do, in this order. */
export type TopicEffect =
  | { readonly type: "displace-publishers" }
  /** The domain allows one publisher now: the first one stays. */
  | { readonly type: "keep-first-publisher" }
  /** Its subscribers leave, and its log unless that is kept for a time. */
  | { readonly type: "end-topic"; readonly reason: EndReason };

/** Nobody took the topic over. */
const ABANDON: TopicEffect = { type: "end-topic", reason: "abandoned" };

/** The outcome of an event. */
export interface Transition {
  readonly state: TopicState;
  readonly effects: readonly TopicEffect[];
  /** Why the socket that connects is not admitted, `null` when it is or when none does. */
  readonly refusal: Answer | null;
}

/** Applies an event at a time, in milliseconds since the epoch. */
export function transition(stored: TopicState, event: TopicEvent, nowMs: number): Transition {
  const state = bringForward(stored, nowMs);
  if (state.phase === "grace" && nowMs >= state.deadlineMs) {
    const after = transition(VACANT, event, nowMs);
    return { ...after, effects: [ABANDON, ...after.effects] };
  }
  switch (event.type) {
    case "publisher-connects":
      return publisherConnects(state, event);
    case "post":
      return post(state, event, nowMs);
    case "publisher-leaves":
      return publisherLeaves(state, event.remaining, nowMs);
    case "publisher-finishes":
      return publisherFinishes(state);
    case "topic-deleted":
      return go(VACANT, { type: "end-topic", reason: "deleted" });
    case "subscriber-connects":
      return { state, effects: [], refusal: refuseSubscriber(state, event) };
    case "policy-changes":
      return policyChanges(state, event);
    case "time-passes":
      return go(state);
  }
}

/** The state as it is by a clock that may have been set back since its grace began. */
export function bringForward(state: TopicState, nowMs: number): TopicState {
  if (state.phase !== "grace") return state;
  const { deadlineMs, graceMs = Infinity } = state;
  return deadlineMs - nowMs > graceMs ? { ...state, deadlineMs: nowMs + graceMs } : state;
}

function publisherConnects(
  state: TopicState,
  event: Extract<TopicEvent, { type: "publisher-connects" }>,
): Transition {
  const { policy, policyAtMs } = event;
  if (event.isKeyInPath && !policy.pathKeys) return refuse(state, "key-in-path");
  if (event.isByToken && !policy.tokenPublishers) return refuse(state, "token-publishers-off");
  const life = state.phase === "vacant" ? event.life : state.life;
  const next: TopicState = { phase: "live", life, policy, policyAtMs };
  if (policy.publishers === "shared") {
    const isFull = event.publishers >= (policy.maxPublishers ?? Infinity);
    return isFull ? refuse(state, "too-many-publishers") : go(next);
  }
  if (state.phase !== "live") return go(next);
  const isWanted = event.takeover || event.incumbentSilent;
  if (!isWanted || !event.mayDisplace) return refuse(state, "publisher-conflict");
  return go(next, { type: "displace-publishers" });
}

/** What it begins goes on until its publisher is said to have left; a grace begins anew at once. */
function post(
  state: TopicState,
  event: Extract<TopicEvent, { type: "post" }>,
  nowMs: number,
): Transition {
  const { policy, policyAtMs, life } = event;
  if (event.isByToken && !policy.tokenPublishers) return refuse(state, "token-publishers-off");
  switch (state.phase) {
    case "vacant":
      return go({ phase: "live", life, policy, policyAtMs });
    case "live": {
      const isTaken = policy.publishers === "exclusive" && event.publishers > 0;
      return isTaken ? refuse(state, "publisher-conflict") : go(state);
    }
    case "grace": {
      // To whole seconds, so that many in a second store one deadline.
      const deadlineMs = Math.ceil((nowMs + policy.graceSeconds * 1000) / 1000) * 1000;
      const graceMs = (policy.graceSeconds + 1) * 1000;
      if (policy.graceSeconds === 0)
        return go({ phase: "live", life: state.life, policy, policyAtMs });
      return go(deadlineMs === state.deadlineMs ? state : { ...state, deadlineMs, graceMs });
    }
  }
}

function policyChanges(
  state: TopicState,
  { policy, policyAtMs, publishers }: Extract<TopicEvent, { type: "policy-changes" }>,
): Transition {
  const isExclusive = policy.publishers === "exclusive";
  switch (state.phase) {
    case "vacant":
      return go(state);
    case "grace":
      // Nothing ends on a shared topic, so nothing is timed.
      return isExclusive ? go({ ...state, policy, policyAtMs }) : go(VACANT);
    case "live": {
      const next = { ...state, policy, policyAtMs };
      return isExclusive && publishers > 1 ? go(next, { type: "keep-first-publisher" }) : go(next);
    }
  }
}

function publisherLeaves(state: TopicState, remaining: number, nowMs: number): Transition {
  if (state.phase !== "live" || remaining > 0) return go(state);
  // Subscribers of a shared topic may wait on a vacant one, so nothing ends and nothing is timed.
  if (state.policy.publishers === "shared") return go(VACANT);
  const graceMs = state.policy.graceSeconds * 1000;
  if (graceMs === 0) return go(VACANT, ABANDON);
  const deadlineMs = nowMs + graceMs;
  return go({ ...state, phase: "grace", deadlineMs, graceMs });
}

function publisherFinishes(state: TopicState): Transition {
  // Of many publishers none ends the topic for all.
  if (state.phase === "vacant" || state.policy.publishers === "shared") return go(state);
  return go(VACANT, { type: "end-topic", reason: "finished" });
}

function refuseSubscriber(
  state: TopicState,
  event: Extract<TopicEvent, { type: "subscriber-connects" }>,
): Answer | null {
  const policy = state.phase === "vacant" ? event.policy : state.policy;
  if (policy === null) return { type: "needs", what: "policy" };
  if (policy.subscribers === "token" && !event.isGranted) return refusal("token-required");
  const isOver = state.phase === "vacant" && policy.publishers === "exclusive";
  if (isOver && !event.readsPast && !event.waits) return refusal("topic-not-live");
  if (event.subscribers >= (policy.maxSubscribers ?? Infinity)) {
    return refusal("too-many-subscribers");
  }
  return null;
}

function go(state: TopicState, ...effects: TopicEffect[]): Transition {
  return { state, effects, refusal: null };
}

function refuse(state: TopicState, slug: RefusalSlug): Transition {
  return { state, effects: [], refusal: refusal(slug) };
}

function refusal(slug: RefusalSlug): Answer {
  return { type: "refused", slug };
}

/** How many of those who are here must go so that one more may come. */
export function excessOf(here: number, limit: number | null): number {
  return limit === null ? 0 : Math.max(0, here + 1 - limit);
}
