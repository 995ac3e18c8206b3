/** Which scenarios fast-check makes up: a policy, and actions that are as likely as they are telling. */
import fc from "fast-check";
import { DEFAULT_POLICY, type Policy } from "../../../src/core/policy.ts";
import type { Action, Batch, Form, Since, Subscribe } from "./actions.ts";
import { BODY_KINDS } from "./body.ts";

/** The most actions a scenario has. */
export const MAX_ACTIONS = 60;
/** Bytes that a message may have in every scenario; `oversize` has more. */
export const MAX_MESSAGE_BYTES = 4096;
/** A bound that no scenario reaches unless a subscriber stops reading. */
const AMPLE_BACKLOG_BYTES = DEFAULT_POLICY.maxBacklogBytes;

export interface Scenario {
  readonly policy: Policy;
  /** Whether a stream subscriber watches from the start and comes back whenever it can. */
  readonly witness: boolean;
  readonly actions: readonly Action[];
}

const policy: fc.Arbitrary<Policy> = fc.record({
  publishers: fc.constantFrom("exclusive", "shared"),
  graceSeconds: fc.constantFrom(10, 10, 0),
  historyMessages: fc.constantFrom(0, 0, 5, 20, 1000, 1000),
  historySeconds: fc.constantFrom(0, 0, 60, 7200),
  historyDelayMs: fc.constantFrom(DEFAULT_POLICY.historyDelayMs, 0, 1000),
  subscribers: fc.constant(DEFAULT_POLICY.subscribers),
  tokenPublishers: fc.constant(true),
  maxMessageBytes: fc.constant(MAX_MESSAGE_BYTES),
  pathKeys: fc.constant(DEFAULT_POLICY.pathKeys),
  messagesPerSecond: fc.constant(DEFAULT_POLICY.messagesPerSecond),
  maxPublishers: fc.constant(DEFAULT_POLICY.maxPublishers),
  maxSubscribers: fc.constant(DEFAULT_POLICY.maxSubscribers),
  maxTopics: fc.constant(DEFAULT_POLICY.maxTopics),
  maxBacklogBytes: fc.constantFrom(AMPLE_BACKLOG_BYTES, AMPLE_BACKLOG_BYTES, 1024),
});

const protocol = fc.constantFrom("raw", "stream");
const actor = fc.nat({ max: 2 });
const kind = fc.constantFrom(...BODY_KINDS);
const form = fc.constantFrom<Form[]>("plain", "lines", "frame");

const batch: fc.Arbitrary<Batch> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ messages: fc.integer({ min: 1, max: 6 }), kind }) },
  { weight: 1, arbitrary: fc.record({ messages: fc.integer({ min: 20, max: 60 }), kind }) },
);

const since: fc.Arbitrary<Since> = fc.oneof(
  { weight: 3, arbitrary: fc.constant<Since>({ kind: "now" }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("own-cursor"), of: fc.nat({ max: 3 }) }) },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant("any-cursor"), ago: fc.nat({ max: 30 }) }),
  },
  { weight: 2, arbitrary: fc.constant<Since>({ kind: "earliest" }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("last"),
      count: fc.oneof(fc.integer({ min: 1, max: 30 }), fc.constant(100_000)),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant("duration"),
      text: fc.constantFrom("30s", "5m", "2h", "30d"),
    }),
  },
);

const subscribe: fc.Arbitrary<Subscribe> = fc.record({
  type: fc.constant("subscribe"),
  protocol,
  since,
  gap: fc.constantFrom("skip", "skip", "close"),
  reads: fc.constantFrom("at once", "at once", "at once", "late"),
  acks: fc.constantFrom("none", "all", "slowly", "slowly", "first"),
  // A crowd: the hub does not serve it in one go.
  count: fc.constantFrom(1, 1, 1, 1, 1, 1, 9, 30),
});

/** Those who see how a topic ends at once. */
const spectators = {
  protocol: fc.constantFrom("raw", "stream", "stream"),
  acks: fc.constantFrom("none", "all", "slowly"),
  count: fc.constantFrom(1, 1, 9),
  batches: fc.constantFrom(0, 0, 3, 5),
} as const;

const action: fc.Arbitrary<Action> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      type: fc.constant("connect"),
      protocol,
      takeover: fc.boolean(),
      owner: fc.constantFrom(0, 0, 1, 2),
    }),
  },
  {
    weight: 14,
    arbitrary: fc.record({
      type: fc.constant("publish"),
      by: actor,
      batches: fc.array(batch, { minLength: 1, maxLength: 4, size: "max" }),
      isChained: fc.boolean(),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      type: fc.constant("resend"),
      by: actor,
      ago: fc.nat({ max: 12 }),
      times: fc.integer({ min: 1, max: 2 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      type: fc.constant("reuse"),
      by: actor,
      ago: fc.nat({ max: 12 }),
      batch,
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      type: fc.constant("flood"),
      by: actor,
      count: fc.constantFrom(200, 999, 1000, 1200),
      cutAfterMs: fc.constantFrom(null, 0, 3, 20, 50),
      isFollowed: fc.boolean(),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ type: fc.constant("oversize"), by: actor, isFollowed: fc.boolean() }),
  },
  { weight: 3, arbitrary: fc.record({ type: fc.constant("leave"), by: actor }) },
  {
    weight: 6,
    arbitrary: fc.record({
      type: fc.constant("post"),
      owner: fc.constantFrom(0, 0, 1, 2),
      batches: fc.array(batch, { minLength: 1, maxLength: 4, size: "max" }),
      copies: fc.constantFrom(1, 1, 2, 3),
      form,
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      type: fc.constant("repost"),
      ago: fc.nat({ max: 12 }),
      rival: fc.option(batch, { freq: 3 }),
      form,
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      type: fc.constant("read-pages"),
      since,
      limit: fc.constantFrom(1, 3, 10, 100, 1000),
      wait: fc.constantFrom("no", "shortly", "for more", "for more"),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      type: fc.constant("finish"),
      ...spectators,
      by: fc.constantFrom("frame", "post"),
      messages: fc.nat({ max: 3 }),
      repeats: fc.nat({ max: 2 }),
      between: fc.constantFrom("nothing", "evict", "restart"),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      type: fc.constant("delete"),
      ...spectators,
      isQuiet: fc.constantFrom(true, true, false),
    }),
  },
  { weight: 9, arbitrary: subscribe },
  { weight: 2, arbitrary: fc.record({ type: fc.constant("unsubscribe"), by: actor }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant("read"), by: actor }) },
  { weight: 2, arbitrary: fc.constant<Action>({ type: "evict" }) },
  { weight: 1, arbitrary: fc.constant<Action>({ type: "restart" }) },
  {
    weight: 3,
    arbitrary: fc.record({ type: fc.constant("abort"), afterMs: fc.constantFrom(0, 0, 1, 3, 8) }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ type: fc.constant("alarm"), times: fc.integer({ min: 1, max: 2 }) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      type: fc.constant("advance"),
      by: fc.constantFrom("past-grace", "past-grace", "hours", "days"),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      type: fc.constant("jump"),
      by: fc.constantFrom("day-ahead", "hour-back", "hour-back", "hour-back"),
      seenBy: fc.constantFrom(null, "stream", "stream", "raw"),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      type: fc.constant("fail-storage"),
      kind: fc.constantFrom("write", "write", "read"),
      after: fc.oneof(
        { weight: 2, arbitrary: fc.constant(0) },
        { weight: 1, arbitrary: fc.nat({ max: 5 }) },
      ),
      times: fc.integer({ min: 1, max: 3 }),
      isFatal: fc.boolean(),
      isPublishedTo: fc.boolean(),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      type: fc.constant("end"),
      protocol: fc.constantFrom("raw", "stream", "stream"),
      acks: fc.constantFrom("none", "all", "slowly", "slowly", "slowly"),
      count: fc.constantFrom(1, 1, 9, 9, 30),
      // Five are more than the hub sends beyond the last ack, and seven where it hears of the first one late.
      batches: fc.constantFrom(0, 3, 5, 7, 7),
      isAlarmLost: fc.boolean(),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ type: fc.constant("wait"), ms: fc.constantFrom(0, 0, 1, 5) }),
  },
  { weight: 4, arbitrary: fc.record({ type: fc.constant("settle"), protocol }) },
);

/** Scenarios; a shrunken one has fewer and simpler actions. */
export const scenarios: fc.Arbitrary<Scenario> = fc.record({
  policy,
  witness: fc.constantFrom(true, true, true, false),
  actions: fc.array(action, { minLength: 1, maxLength: MAX_ACTIONS, size: "max" }),
});
