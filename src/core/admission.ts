/**
 * The edge's decision about an upgrade, handed over typed to the object in one header, and the
 * object's answer when it refuses. The edge builds the request afresh, so no client can forge either.
 * Both sides may run different versions during a deploy: the shape carries a version.
 */
import * as v from "valibot";
import { GrantSchema, type Grant } from "./grant.ts";
import { MAX_HEARTBEAT_SECONDS } from "./heartbeat.ts";
import { PolicySchema, type Policy } from "./policy.ts";
import { STREAM_PROTOCOL } from "./stream.ts";
import { RAW_PROTOCOL, type Subprotocol } from "./subprotocol.ts";

/** The request header that carries an admission. */
export const ADMISSION_HEADER = "wspubsub-admission";
/** The request header that carries the object's name, percent-encoded: it may not know it (own-address.ts). */
export const NAME_HEADER = "wspubsub-name";
/** The response header that carries a refusal. */
export const REFUSAL_HEADER = "wspubsub-refusal";

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
  /** Its key; `null` only from an edge of version 0.1. */
  readonly grant: Grant | null;
  /** Postgres was asked after the object had called the grant stale. */
  readonly isRechecked: boolean;
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
  /** `null` while nobody has asked Postgres: a live topic knows its policy. */
  readonly policy: Policy | null;
  /** The key or token that it presented, `null` when it presented none. */
  readonly grant: Grant | null;
  /** Postgres was asked after the object had called the grant stale. */
  readonly isRechecked: boolean;
}

// An edge of version 0.1 knows neither the stream nor recovery nor grants.
const SubprotocolSchema = v.optional(v.nullable(v.picklist([STREAM_PROTOCOL, RAW_PROTOCOL])), null);

const CREDENTIAL_ENTRIES = {
  grant: v.optional(v.nullable(GrantSchema), null),
  isRechecked: v.optional(v.boolean(), false),
};

const AdmissionSchema: v.GenericSchema<unknown, Admission> = v.variant("role", [
  v.object({
    v: v.literal(1),
    role: v.literal("publisher"),
    subprotocol: SubprotocolSchema,
    takeover: v.boolean(),
    heartbeatSeconds: v.nullable(
      v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(MAX_HEARTBEAT_SECONDS)),
    ),
    policy: PolicySchema,
    ...CREDENTIAL_ENTRIES,
  }),
  v.object({
    v: v.literal(1),
    role: v.literal("subscriber"),
    subprotocol: SubprotocolSchema,
    since: v.optional(v.nullable(v.string()), null),
    gap: v.optional(v.picklist(["skip", "close"]), "skip"),
    policy: v.nullable(PolicySchema),
    ...CREDENTIAL_ENTRIES,
  }),
]);

/** Why an object turned an admission down; all but the first two are problem slugs. */
export type Refusal = (typeof REFUSALS)[number];

const REFUSALS = [
  // A vacant topic does not know what its domain allows.
  "policy-needed",
  // The key may have been revoked since it was checked.
  "key-stale",
  "topic-not-live",
  "publisher-conflict",
  "token-required",
  "too-many-publishers",
  "too-many-subscribers",
  "topic-full",
  "topic-unavailable",
] as const;

const RefusalSchema: v.GenericSchema<unknown, Refusal> = v.picklist(REFUSALS);

/** Writes an admission as a header value (ASCII: the text of a `since` that parses is). */
export function formatAdmission(admission: Admission): string {
  return JSON.stringify(admission);
}

/** Reads an admission; throws on anything else, since only the edge calls the object. */
export function parseAdmission(header: string | null): Admission {
  return v.parse(AdmissionSchema, JSON.parse(header ?? "null"));
}

/** Reads a refusal; throws on anything else, since only the object writes it. */
export function parseRefusal(header: string | null): Refusal {
  return v.parse(RefusalSchema, header);
}
