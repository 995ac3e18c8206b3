/**
 * The edge's decision about an upgrade, handed over typed to the object in one header, and the object's
 * answer where it does not admit. The edge builds the request afresh, so no client can forge either. Both
 * sides may run different versions during a deploy: each reads what the other's version writes.
 */
import * as v from "valibot";
import { MAX_WAIT_SECONDS } from "./connect-options.ts";
import { GrantSchema, hasEnded, isTokenGrant, type Grant } from "./grant.ts";
import { MAX_HEARTBEAT_SECONDS } from "./heartbeat.ts";
import { PolicySchema, type Policy } from "./policy.ts";
import { STREAM_PROTOCOL } from "./stream.ts";
import { RAW_PROTOCOL, type Subprotocol } from "./subprotocol.ts";

/** The request header that carries an admission. */
export const ADMISSION_HEADER = "wspubsub-admission";
/** The request header that carries the object's name, percent-encoded: it may not know it (own-address.ts). */
export const NAME_HEADER = "wspubsub-name";
/** The response header that carries an answer other than the 101. */
export const ANSWER_HEADER = "wspubsub-answer";
/** The same for an edge of the version before, which knows refusals only. */
export const REFUSAL_HEADER = "wspubsub-refusal";
/** Says on a 101 that its socket waits for the topic to start. */
export const WAITING_HEADER = "wspubsub-waiting";

/** An upgrade that the edge found in order. */
export type Admission = PublisherAdmission | SubscriberAdmission;

/** That of a publisher. */
export interface PublisherAdmission {
  readonly v: 1;
  readonly role: "publisher";
  /** What the handshake agrees on, `null` when it was offered nothing. */
  readonly subprotocol: Subprotocol | null;
  /** It may displace an incumbent. */
  readonly takeover: boolean;
  /** The interval of the heartbeats it promised, `null` if it promised none. */
  readonly heartbeatSeconds: number | null;
  readonly policy: Policy;
  /** When the policy held, by the key store's clock. */
  readonly policyAtMs: number;
  /** Its key or token; `null` only from an edge of version 0.1. */
  readonly grant: Grant | null;
  /** The key stood in the path. */
  readonly isKeyInPath: boolean;
  /** The key store was asked for this very handshake: nothing of it is out of a cache. */
  readonly isFresh: boolean;
  /** It was asked after the object had asked for it: its word is newer than all that the object had heard by then. */
  readonly isRechecked: boolean;
  /** Where the client is; none where nobody knows, and from an edge of the version before. */
  readonly country?: string | undefined;
}

/** How a subscriber waits for its topic to start, where it is not live. */
export interface Wait {
  readonly seconds: number;
  /** What its client's places are counted by: a number that many clients share, and that names none. */
  readonly client: number;
}

/** That of a subscriber. */
export interface SubscriberAdmission {
  readonly v: 1;
  readonly role: "subscriber";
  /** What the handshake agrees on, `null` when it was offered nothing. */
  readonly subprotocol: Subprotocol | null;
  /** The value of `?since=`, which the edge has checked; `null` without one. */
  readonly since: string | null;
  /** What becomes of it when there is a gap. */
  readonly gap: "skip" | "close";
  /** None where it does not wait, and from an edge of the version before. */
  readonly wait?: Wait | undefined;
  /** `null` while nobody has asked Postgres: a live topic knows its policy. */
  readonly policy: Policy | null;
  /** When the policy held, by the key store's clock. */
  readonly policyAtMs: number;
  /** The key or token that it presented, `null` when it presented none. */
  readonly grant: Grant | null;
  /** The key store was asked for this very handshake: nothing of it is out of a cache. */
  readonly isFresh: boolean;
  /** It was asked after the object had asked for it: its word is newer than all that the object had heard by then. */
  readonly isRechecked: boolean;
  /** Where the client is; none where nobody knows, and from an edge of the version before. */
  readonly country?: string | undefined;
}

// An edge of version 0.1 knows neither the stream nor recovery nor grants.
const SubprotocolSchema = v.optional(v.nullable(v.picklist([STREAM_PROTOCOL, RAW_PROTOCOL])), null);

const CREDENTIAL_ENTRIES = {
  policyAtMs: v.optional(v.number()),
  grant: v.optional(v.nullable(GrantSchema), null),
  // The version before knows only the other one.
  isFresh: v.optional(v.boolean()),
  isRechecked: v.optional(v.boolean(), false),
  country: v.optional(v.string()),
};

/** Exclusive: clients are told apart by so many numbers. */
export const CLIENT_NUMBERS = 65_536;

const WaitSchema: v.GenericSchema<unknown, Wait> = v.object({
  seconds: v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(MAX_WAIT_SECONDS)),
  client: v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(CLIENT_NUMBERS - 1)),
});

/**
 * How a publisher by a token is written. Objects of the version before know neither what its domain allows nor whom it
 * may displace: they cannot read it, so it does not come in.
 */
const VERSION_OF_TOKEN_PUBLISHERS = 2;

const WrittenSchema = v.variant("role", [
  v.object({
    v: v.pipe(
      v.picklist([1, VERSION_OF_TOKEN_PUBLISHERS]),
      v.transform(() => 1 as const),
    ),
    role: v.literal("publisher"),
    subprotocol: SubprotocolSchema,
    takeover: v.boolean(),
    heartbeatSeconds: v.nullable(
      v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(MAX_HEARTBEAT_SECONDS)),
    ),
    policy: PolicySchema,
    isKeyInPath: v.optional(v.boolean(), false),
    ...CREDENTIAL_ENTRIES,
  }),
  v.object({
    v: v.literal(1),
    role: v.literal("subscriber"),
    subprotocol: SubprotocolSchema,
    since: v.optional(v.nullable(v.string()), null),
    gap: v.optional(v.picklist(["skip", "close"]), "skip"),
    wait: v.optional(WaitSchema),
    policy: v.nullable(PolicySchema),
    ...CREDENTIAL_ENTRIES,
  }),
]);

const AdmissionSchema: v.GenericSchema<unknown, Admission> = v.pipe(
  WrittenSchema,
  v.transform(({ isRechecked, isFresh = isRechecked, policyAtMs, ...rest }) => ({
    ...rest,
    // Before, key and policy came out of one answer, and the edge's clock stood for the key store's.
    policyAtMs: policyAtMs ?? rest.grant?.checkedAtMs ?? 0,
    isFresh,
    isRechecked,
  })),
);

/** An object's answer to an admission that it does not simply follow with a 101. */
export type Answer =
  | { readonly type: "refused"; readonly slug: RefusalSlug }
  | {
      readonly type: "needs";
      /**
       * `policy`: a vacant topic does not know what its domain allows. `recheck`: what the edge had out of a cache may
       * be outdated, so the key store must be asked for this handshake.
       */
      readonly what: "policy" | "recheck";
    };

/** Why an object turns an admission down: slugs of problems. */
export type RefusalSlug = (typeof REFUSALS)[number];

const REFUSALS = [
  "key-rejected",
  "key-in-path",
  "token-required",
  "token-expired",
  "token-publishers-off",
  "topic-not-live",
  "publisher-conflict",
  "too-many-publishers",
  "too-many-subscribers",
  "topic-full",
  "topic-unavailable",
  "too-many-topics",
  "too-many-waiting",
] as const;

/** What an edge of the version before understands. */
const REFUSALS_BEFORE: readonly RefusalSlug[] = [
  "token-required",
  "topic-not-live",
  "publisher-conflict",
  "too-many-publishers",
  "too-many-subscribers",
  "topic-full",
  "topic-unavailable",
];

/** Validates an answer that comes from an object. */
export const AnswerSchema: v.GenericSchema<unknown, Answer> = v.variant("type", [
  v.object({ type: v.literal("refused"), slug: v.picklist(REFUSALS) }),
  v.object({ type: v.literal("needs"), what: v.picklist(["policy", "recheck"]) }),
]);

/** Writes an admission as a header value: ASCII, whatever a token's subject contains. */
export function formatAdmission(admission: Admission): string {
  const isByToken = admission.role === "publisher" && isTokenGrant(admission.grant);
  const { policy, ...rest } = admission;
  const written = isByToken ? { ...rest, v: VERSION_OF_TOKEN_PUBLISHERS } : rest;
  const head = JSON.stringify(written).replaceAll(
    /[^ -~]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
  return `${head.slice(0, -1)},"policy":${policy === null ? "null" : formatPolicy(policy)}}`;
}

/** Policies that are in use, as they are written: most of an admission is always the same. */
const policyTexts: WeakMap<Policy, string> = new WeakMap();

/** Writes a policy, which has nothing in it but ASCII. */
function formatPolicy(policy: Policy): string {
  let text = policyTexts.get(policy);
  if (text === undefined) policyTexts.set(policy, (text = JSON.stringify(policy)));
  return text;
}

/** Reads an admission; throws on anything else, since only the edge calls the object. */
export function parseAdmission(header: string | null): Admission {
  return v.parse(AdmissionSchema, JSON.parse(header ?? "null"));
}

/** The headers that carry an answer, for edges of this version and of the one before. */
export function formatAnswer(answer: Answer): Record<string, string> {
  return { [ANSWER_HEADER]: JSON.stringify(answer), [REFUSAL_HEADER]: refusalBefore(answer) };
}

/** Reads an answer. One that this version does not know says no more than that there was no admission. */
export function parseAnswer(headers: Headers): Answer {
  const unknown: Answer = { type: "refused", slug: "topic-unavailable" };
  const text = headers.get(ANSWER_HEADER);
  if (text === null) return answerOfBefore(headers.get(REFUSAL_HEADER)) ?? unknown;
  const parsed = v.safeParse(AnswerSchema, parseJson(text));
  return parsed.success ? parsed.output : unknown;
}

/** Why nothing opens any more by a grant, `null` where it does: a ticket may be presented after its end. */
export function refusalOfEnded(grant: Grant | null, nowMs: number): Answer | null {
  if (grant === null || !hasEnded(grant, nowMs)) return null;
  return { type: "refused", slug: isTokenGrant(grant) ? "token-expired" : "key-rejected" };
}

function refusalBefore(answer: Answer): string {
  if (answer.type === "needs") return answer.what === "policy" ? "policy-needed" : "key-stale";
  return REFUSALS_BEFORE.includes(answer.slug) ? answer.slug : "topic-unavailable";
}

function answerOfBefore(refusal: string | null): Answer | null {
  if (refusal === "policy-needed") return { type: "needs", what: "policy" };
  if (refusal === "key-stale") return { type: "needs", what: "recheck" };
  const slug = REFUSALS_BEFORE.find((known) => known === refusal);
  return slug === undefined ? null : { type: "refused", slug };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // SyntaxError: of a version to come.
    return null;
  }
}
