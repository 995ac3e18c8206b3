/**
 * A domain's policy: what its row in `domains` may say and the defaults of a domain without a row,
 * which are the original's behaviour. The same rules stand in schema.sql as checks.
 */
import * as v from "valibot";

/** What may wait for a slow subscriber, unless the domain says otherwise. */
const DEFAULT_MAX_BACKLOG_BYTES = 1_048_576;
const LEAST_MAX_BACKLOG_BYTES = 1024;
const MOST_MAX_BACKLOG_BYTES = 67_108_864;

/** The most a client may send in one message; the runtime itself takes 32 MiB (platform limits). */
const MAX_MESSAGE_BYTES = 33_554_432;

/** Topics of a domain: beyond what anybody honest has, and little enough for one object to keep. */
export const DEFAULT_MAX_TOPICS = 100_000;
const MOST_MAX_TOPICS = 10_000_000;

/** What a domain allows. */
export interface Policy {
  /** `exclusive`: one publisher at a time, it starts and owns the topic. `shared`: many at once. */
  readonly publishers: "exclusive" | "shared";
  /** How long an exclusive topic outlives its publisher. */
  readonly graceSeconds: number;
  /** How many messages the log keeps; 0 beside seconds sets no bound, beside 0 seconds no log. */
  readonly historyMessages: number;
  /** How long the log keeps a message; 0 beside messages sets no bound. */
  readonly historySeconds: number;
  /** `open`: anyone may subscribe. `token`: who has a token, or a key of the domain. */
  readonly subscribers: "open" | "token";
  /** UTF-8 bytes of a text message, bytes of a binary one. */
  readonly maxMessageBytes: number;
  /** What may wait for a subscriber that does not read. */
  readonly maxBacklogBytes: number;
  /** Whether a key may stand in the path, where logs would see it. */
  readonly pathKeys: boolean;
  /** Messages that a publisher may send per second; `null` sets no limit. */
  readonly messagesPerSecond: number | null;
  /** Publishers that a topic may have at once; `null` sets no limit. */
  readonly maxPublishers: number | null;
  /** Subscribers that a topic may have at once; `null` sets no limit. */
  readonly maxSubscribers: number | null;
  /** Topics of the domain that may be live at once; as many may be waited on by key. */
  readonly maxTopics: number;
}

/** A policy, and when it held by the key store's clock. */
export interface DatedPolicy {
  readonly policy: Policy;
  readonly atMs: number;
}

const LimitSchema = v.nullable(v.pipe(v.number(), v.integer(), v.minValue(1)));

/** Validates a policy that comes from Postgres, an admission or storage. */
export const PolicySchema: v.GenericSchema<unknown, Policy> = v.object({
  publishers: v.picklist(["exclusive", "shared"]),
  graceSeconds: v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(3600)),
  historyMessages: v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(100_000)),
  historySeconds: v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(2_592_000)),
  subscribers: v.picklist(["open", "token"]),
  maxMessageBytes: v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(MAX_MESSAGE_BYTES)),
  // Stored policies and admissions of version 0.1 lack these four, and `maxTopics`.
  maxBacklogBytes: v.optional(
    v.pipe(
      v.number(),
      v.integer(),
      v.minValue(LEAST_MAX_BACKLOG_BYTES),
      v.maxValue(MOST_MAX_BACKLOG_BYTES),
    ),
    DEFAULT_MAX_BACKLOG_BYTES,
  ),
  pathKeys: v.optional(v.boolean(), true),
  maxPublishers: v.optional(LimitSchema, null),
  maxSubscribers: v.optional(LimitSchema, null),
  messagesPerSecond: LimitSchema,
  maxTopics: v.optional(
    v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(MOST_MAX_TOPICS)),
    DEFAULT_MAX_TOPICS,
  ),
});

/** The policy of a domain without a row. */
export const DEFAULT_POLICY: Policy = {
  publishers: "exclusive",
  graceSeconds: 10,
  historyMessages: 0,
  historySeconds: 0,
  subscribers: "open",
  maxMessageBytes: 1_048_576,
  maxBacklogBytes: DEFAULT_MAX_BACKLOG_BYTES,
  pathKeys: true,
  messagesPerSecond: null,
  maxPublishers: null,
  maxSubscribers: null,
  maxTopics: DEFAULT_MAX_TOPICS,
};
