/**
 * What the hub's admin routes answer, as the command line takes it (PROTOCOL.md, section 15). What a hub of the
 * version before does not say yet may be missing; anything else that is wrong makes an answer no hub's.
 */
import * as v from "valibot";

/** The topics of a domain that are there now, a page of them. */
export interface TopicList {
  readonly domain: string;
  readonly as_of: string;
  readonly topics: readonly { readonly topic: string; readonly since: string }[];
  /** What to go on after, `null` on the last page. */
  readonly next: string | null;
}

/** One topic as it is now. */
export interface TopicStatus {
  readonly domain: string;
  readonly topic: string;
  readonly phase: "vacant" | "live" | "grace";
  readonly publishers: number;
  readonly subscribers: number;
  readonly since: string | null;
  readonly as_of: string;
}

/** The sockets of a topic now, at most as many as were asked for. */
export interface SocketList {
  readonly domain: string;
  readonly topic: string;
  readonly phase: TopicStatus["phase"];
  readonly publishers: number;
  readonly subscribers: number;
  readonly as_of: string;
  readonly sockets: readonly SocketStatus[];
}

/** One socket; what is `null` nobody knows. */
export interface SocketStatus {
  readonly role: "publisher" | "subscriber";
  readonly protocol: "raw" | "stream";
  readonly since: string | null;
  /** A key's number. */
  readonly key: number | null;
  /** A token's `sub`. */
  readonly subject: string | null;
  readonly country: string | null;
  readonly bytes_waiting: number;
  readonly messages_behind: number | null;
}

/** What the hub did about a domain's policy. */
export interface DomainSync {
  /** Sockets. */
  readonly closed: number;
  /** Live topics that heard of it. */
  readonly told: number;
  /** Live topics that could not be reached yet; the hub tells them again. */
  readonly missed: number;
}

/** What the hub did about a key; `told` and `missed` are `null` while the hub is being updated. */
export interface KeySync {
  /** Sockets. */
  readonly closed: number;
  readonly told: number | null;
  readonly missed: number | null;
  /** The hub holds a revocation of it until Postgres has that. */
  readonly held: boolean;
}

const CountSchema = v.pipe(v.number(), v.integer(), v.minValue(0));

const KEY_ENTRIES = {
  closed: CountSchema,
  told: v.optional(v.nullable(CountSchema), null),
  missed: v.optional(v.nullable(CountSchema), null),
};

/** A topic that was ended. */
export interface TopicEnded {
  readonly domain: string;
  readonly topic: string;
  readonly ended: true;
}

/** Reads that. */
export const TopicEndedSchema: v.GenericSchema<unknown, TopicEnded> = v.object({
  domain: v.string(),
  topic: v.string(),
  ended: v.literal(true),
});

/** A topic whose messages were forgotten. */
export interface MessagesForgotten {
  readonly domain: string;
  readonly topic: string;
  /** How many could be read. */
  readonly messages: number;
}

/** Reads that. */
export const MessagesForgottenSchema: v.GenericSchema<unknown, MessagesForgotten> = v.object({
  domain: v.string(),
  topic: v.string(),
  messages: CountSchema,
});

/** Reads a page of topics. */
export const TopicListSchema: v.GenericSchema<unknown, TopicList> = v.object({
  domain: v.string(),
  as_of: v.string(),
  topics: v.array(v.object({ topic: v.string(), since: v.string() })),
  next: v.nullable(v.string()),
});

/** Reads a topic. */
export const TopicSchema: v.GenericSchema<unknown, TopicStatus> = v.object({
  domain: v.string(),
  topic: v.string(),
  phase: v.picklist(["vacant", "live", "grace"]),
  publishers: v.number(),
  subscribers: v.number(),
  since: v.nullable(v.string()),
  as_of: v.string(),
});

/** Reads a topic's sockets. */
export const SocketListSchema: v.GenericSchema<unknown, SocketList> = v.object({
  domain: v.string(),
  topic: v.string(),
  phase: v.picklist(["vacant", "live", "grace"]),
  publishers: CountSchema,
  subscribers: CountSchema,
  as_of: v.string(),
  sockets: v.array(
    v.object({
      role: v.picklist(["publisher", "subscriber"]),
      protocol: v.picklist(["raw", "stream"]),
      since: v.nullable(v.string()),
      key: v.nullable(CountSchema),
      subject: v.nullable(v.string()),
      country: v.nullable(v.string()),
      bytes_waiting: CountSchema,
      messages_behind: v.nullable(CountSchema),
    }),
  ),
});

/** Reads what became of a policy. */
export const DomainSyncSchema: v.GenericSchema<unknown, DomainSync> = v.object({
  closed: CountSchema,
  told: CountSchema,
  missed: CountSchema,
});

/** Reads what became of a key. */
export const KeySyncSchema: v.GenericSchema<unknown, KeySync> = v.object({
  state: v.picklist(["live", "inactive", "expired", "revoked"]),
  ...KEY_ENTRIES,
  held: v.optional(v.boolean(), false),
});

/** Reads that a key is revoked. */
export const RevokedSchema: v.GenericSchema<unknown, KeySync> = v.object({
  state: v.literal("revoked"),
  ...KEY_ENTRIES,
  held: v.optional(v.boolean(), false),
});

/** Reads that the hub has revoked a key that Postgres could not be asked about. */
export const HeldSchema: v.GenericSchema<unknown, KeySync> = v.object({
  state: v.literal("revoked"),
  ...KEY_ENTRIES,
  held: v.literal(true),
});

/** Reads a refusal (RFC 9457). */
export const ProblemSchema: v.GenericSchema<
  unknown,
  { readonly title: string; readonly detail?: string | undefined }
> = v.object({ title: v.string(), detail: v.optional(v.string()) });
