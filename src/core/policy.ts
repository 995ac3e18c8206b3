/**
 * A domain's policy: its fields, what each may be, and what a domain without a row has, which is the original's
 * behaviour. All else takes it from here; tests hold schema.sql's columns and docs/policy.md to it.
 */
import * as v from "valibot";

/** What a domain allows. */
export interface Policy {
  /** `exclusive`: one publisher at a time, it starts and owns the topic. `shared`: many at once. */
  readonly publishers: "exclusive" | "shared";
  /** How long an exclusive topic outlives its publisher. */
  readonly graceSeconds: number;
  /** How many messages the history keeps, 0: any number. History is off while this and `historySeconds` are 0. */
  readonly historyMessages: number;
  /** How long the history keeps a message, 0: for any time. History is off while this and `historyMessages` are 0. */
  readonly historySeconds: number;
  /** How long a message may wait for others to share a row of the log, which costs money; 0: it does not. */
  readonly historyDelayMs: number;
  /** `open`: anyone may subscribe. `token`: a subscriber needs a token, or a key of the domain. */
  readonly subscribers: "open" | "token";
  /** Whether a token may publish, where it says so. The domain's signers then decide who publishes. */
  readonly tokenPublishers: boolean;
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

/** One of some words. */
export interface ChoiceRule<Word extends string = string> {
  readonly kind: "choice";
  readonly words: readonly Word[];
  readonly byDefault: Word;
}

/** A whole number. */
export interface NumberRule {
  readonly kind: "number";
  readonly least: number;
  readonly most: number;
  readonly byDefault: number;
}

/** A whole number, or `null`, which sets no limit. */
export interface LimitRule {
  readonly kind: "limit";
  readonly least: number;
  readonly most: number;
  readonly byDefault: null;
}

/** On or off. */
export interface SwitchRule {
  readonly kind: "switch";
  readonly byDefault: boolean;
}

/** What a field may be, and what it is where a domain says nothing. */
export type PolicyRule = ChoiceRule | NumberRule | LimitRule | SwitchRule;

/** The name of a field. */
export type PolicyField = keyof Policy;

type RuleOf<Value> = [Value] extends [string]
  ? ChoiceRule<Value>
  : [Value] extends [boolean]
    ? SwitchRule
    : [Value] extends [number]
      ? NumberRule
      : LimitRule;

const LIMIT: LimitRule = {
  kind: "limit",
  least: 1,
  // Of Postgres's type integer.
  most: 2_147_483_647,
  byDefault: null,
};

/** The rule of each field, in the order in which people see them. */
export const POLICY_RULES: { readonly [Field in PolicyField]: RuleOf<Policy[Field]> } = {
  publishers: { kind: "choice", words: ["exclusive", "shared"], byDefault: "exclusive" },
  graceSeconds: { kind: "number", least: 0, most: 3600, byDefault: 10 },
  historyMessages: { kind: "number", least: 0, most: 100_000, byDefault: 0 },
  // 30 days.
  historySeconds: { kind: "number", least: 0, most: 2_592_000, byDefault: 0 },
  // 18 rows a second: what a person notices, and what they cost, both stay small (ARCHITECTURE.md, decision 54).
  historyDelayMs: { kind: "number", least: 0, most: 1000, byDefault: 55 },
  subscribers: { kind: "choice", words: ["open", "token"], byDefault: "open" },
  tokenPublishers: { kind: "switch", byDefault: false },
  // The runtime itself takes 32 MiB in one message (platform limits).
  maxMessageBytes: { kind: "number", least: 1, most: 33_554_432, byDefault: 1_048_576 },
  maxBacklogBytes: { kind: "number", least: 1024, most: 67_108_864, byDefault: 1_048_576 },
  pathKeys: { kind: "switch", byDefault: true },
  messagesPerSecond: LIMIT,
  maxPublishers: LIMIT,
  maxSubscribers: LIMIT,
  // Beyond what anybody honest has, and little enough for one object to keep.
  maxTopics: { kind: "number", least: 1, most: 10_000_000, byDefault: 100_000 },
};

/** The fields, in the order of their rules. */
export const POLICY_FIELDS: readonly PolicyField[] = Object.keys(POLICY_RULES).filter(isField);

/** Validates a policy that comes from Postgres, an admission or storage. */
export const PolicySchema: v.GenericSchema<unknown, Policy> = v.object({
  publishers: choice(POLICY_RULES.publishers),
  graceSeconds: number(POLICY_RULES.graceSeconds),
  historyMessages: number(POLICY_RULES.historyMessages),
  historySeconds: number(POLICY_RULES.historySeconds),
  subscribers: choice(POLICY_RULES.subscribers),
  maxMessageBytes: number(POLICY_RULES.maxMessageBytes),
  messagesPerSecond: v.nullable(number(POLICY_RULES.messagesPerSecond)),
  // Stored policies and admissions of a version before lack these.
  maxBacklogBytes: v.optional(
    number(POLICY_RULES.maxBacklogBytes),
    POLICY_RULES.maxBacklogBytes.byDefault,
  ),
  historyDelayMs: v.optional(
    number(POLICY_RULES.historyDelayMs),
    POLICY_RULES.historyDelayMs.byDefault,
  ),
  // Off where a version before says nothing of it: then no token publishes.
  tokenPublishers: v.optional(v.boolean(), POLICY_RULES.tokenPublishers.byDefault),
  pathKeys: v.optional(v.boolean(), POLICY_RULES.pathKeys.byDefault),
  maxPublishers: v.optional(v.nullable(number(POLICY_RULES.maxPublishers)), null),
  maxSubscribers: v.optional(v.nullable(number(POLICY_RULES.maxSubscribers)), null),
  maxTopics: v.optional(number(POLICY_RULES.maxTopics), POLICY_RULES.maxTopics.byDefault),
});

/** The policy of a domain without a row. */
export const DEFAULT_POLICY: Policy = v.parse(
  PolicySchema,
  Object.fromEntries(POLICY_FIELDS.map((field) => [field, POLICY_RULES[field].byDefault])),
);

/** The column of `domains` that holds a field. */
export function columnOf(field: PolicyField): string {
  return field.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

function isField(name: string): name is PolicyField {
  return Object.hasOwn(POLICY_RULES, name);
}

function choice<Word extends string>({ words }: ChoiceRule<Word>): v.GenericSchema<unknown, Word> {
  return v.picklist(words);
}

function number({ least, most }: NumberRule | LimitRule): v.GenericSchema<unknown, number> {
  return v.pipe(v.number(), v.integer(), v.minValue(least), v.maxValue(most));
}
