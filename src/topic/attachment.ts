/**
 * What a socket carries through hibernation: what it is, and what memory alone would lose. Versioned and parsed, never
 * cast, since an older deploy may have written it. At most 16 KiB (platform limits).
 */
import * as v from "valibot";
import type { PublisherAdmission, SubscriberAdmission } from "../core/admission.ts";
import { GrantSchema, isTokenGrant, type Grant } from "../core/grant.ts";
import type { Protocol } from "../core/stream.ts";
import { protocolOf } from "../core/subprotocol.ts";
import { LogPositionSchema, type LogPosition } from "./log-meta.ts";

/** A socket's identity within its topic. */
export type Attachment =
  | PublisherAttachment
  | SubscriberAttachment
  | WaitingAttachment
  /** The hub has closed it: it counts for nothing, and what it still sends is fenced out. */
  | { readonly v: 1; readonly role: "dismissed" };

/** The identity of a socket that sends. */
export interface PublisherAttachment {
  /** 2 for one by a token: the version before, which cannot judge it, has it come back. */
  readonly v: 1 | 2;
  readonly role: "publisher";
  readonly protocol: Protocol;
  /** The interval of the heartbeats it promised, `null` if it promised none. */
  readonly heartbeatSeconds: number | null;
  readonly connectedAtMs: number;
  /** Where its client is, as far as its edge knew. */
  readonly country?: string | undefined;
  /** When the topic's keys were last looked at; one publisher carries it for all, 0 on the others. */
  readonly lookedAtMs: number;
  /** When the topic's policy was last found to hold, by the key store's clock; carried likewise. */
  readonly policyAtMs: number;
  /** Where a log that is not durable was when it fell silent; one publisher carries it for all. */
  readonly log: LogPosition | null;
  /** Its key or token; `null` where version 0.1 accepted it. */
  readonly grant: Grant | null;
  /** When it has paid for what it sent beyond its rate, if that takes longer than sleep. */
  readonly rateFullAtMs: number | null;
}

/** The identity of a socket that only receives. */
export interface SubscriberAttachment {
  readonly v: 1;
  readonly role: "subscriber";
  readonly protocol: Protocol;
  readonly gap: "skip" | "close";
  /** The cursor up to which it has everything while it is replayed to, else `null`. */
  readonly behind: string | null;
  /** The key or token that opened it, `null` where it needed none. */
  readonly grant: Grant | null;
  /** Where a log that is not durable is, while no publisher carries it; one subscriber carries it for all. */
  readonly log?: LogPosition | null | undefined;
  /** None where the version before accepted it. */
  readonly connectedAtMs?: number | undefined;
  /** Where its client is, as far as its edge knew. */
  readonly country?: string | undefined;
  /** It came to read what is kept of a life that was over. */
  readonly readsPast?: boolean | undefined;
}

/** The identity of a socket that waits for the topic to start; the version before has it come back. */
export interface WaitingAttachment {
  readonly v: 1;
  readonly role: "waiting";
  readonly protocol: Protocol;
  /** Where it is to begin, as it asked for; `null`: with what comes then. */
  readonly since: string | null;
  readonly gap: "skip" | "close";
  readonly grant: Grant | null;
  readonly connectedAtMs: number;
  readonly country?: string | undefined;
  /** When its time is over. */
  readonly untilMs: number;
  /** What its client's places are counted by. */
  readonly client: number;
}

// Sockets that version 0.1 accepted are raw and know neither log nor grant.
const SocketGrantSchema = v.optional(v.nullable(GrantSchema), null);
const ProtocolSchema = v.optional(v.picklist(["raw", "stream"]), "raw");

const AttachmentSchema: v.GenericSchema<unknown, Attachment> = v.variant("role", [
  v.object({
    v: v.picklist([1, 2]),
    role: v.literal("publisher"),
    protocol: ProtocolSchema,
    heartbeatSeconds: v.nullable(v.number()),
    connectedAtMs: v.number(),
    country: v.optional(v.string()),
    // Version 0.1 kept neither.
    lookedAtMs: v.optional(v.number(), 0),
    policyAtMs: v.optional(v.number(), 0),
    log: v.optional(v.nullable(LogPositionSchema), null),
    grant: SocketGrantSchema,
    rateFullAtMs: v.optional(v.nullable(v.number()), null),
  }),
  v.object({
    v: v.literal(1),
    role: v.literal("subscriber"),
    protocol: ProtocolSchema,
    gap: v.optional(v.picklist(["skip", "close"]), "skip"),
    behind: v.optional(v.nullable(v.string()), null),
    grant: SocketGrantSchema,
    log: v.optional(v.nullable(LogPositionSchema)),
    connectedAtMs: v.optional(v.number()),
    country: v.optional(v.string()),
    readsPast: v.optional(v.boolean()),
  }),
  v.object({
    v: v.literal(1),
    role: v.literal("waiting"),
    protocol: v.picklist(["raw", "stream"]),
    since: v.nullable(v.string()),
    gap: v.picklist(["skip", "close"]),
    grant: v.nullable(GrantSchema),
    connectedAtMs: v.number(),
    country: v.optional(v.string()),
    untilMs: v.number(),
    client: v.number(),
  }),
  v.object({ v: v.literal(1), role: v.literal("dismissed") }),
]);

/** What an admitted publisher carries; the first one does so for the topic. */
export function publisherAttachment(
  { subprotocol, heartbeatSeconds, grant, country }: PublisherAdmission,
  isFirst: boolean,
  nowMs: number,
): PublisherAttachment {
  return {
    v: isTokenGrant(grant) ? 2 : 1,
    role: "publisher",
    protocol: protocolOf(subprotocol),
    heartbeatSeconds,
    connectedAtMs: nowMs,
    lookedAtMs: isFirst ? nowMs : 0,
    policyAtMs: 0,
    log: null,
    grant,
    rateFullAtMs: null,
    ...(country !== undefined && { country }),
  };
}

/** What an admitted subscriber carries. */
export function subscriberAttachment(
  { subprotocol, gap, grant, country }: SubscriberAdmission,
  readsPast: boolean,
  nowMs: number,
): SubscriberAttachment {
  return {
    v: 1,
    role: "subscriber",
    protocol: protocolOf(subprotocol),
    gap,
    behind: null,
    grant,
    connectedAtMs: nowMs,
    ...(country !== undefined && { country }),
    ...(readsPast && { readsPast }),
  };
}

/** What an admitted subscriber carries that waits. */
export function waitingAttachment(
  { subprotocol, since, gap, grant, country }: SubscriberAdmission,
  place: Pick<WaitingAttachment, "untilMs" | "client">,
  nowMs: number,
): WaitingAttachment {
  return {
    v: 1,
    role: "waiting",
    protocol: protocolOf(subprotocol),
    since,
    gap,
    grant,
    connectedAtMs: nowMs,
    ...(country !== undefined && { country }),
    ...place,
  };
}

/** What it carries as a subscriber, once its topic has started. */
export function begunAttachment(
  { protocol, gap, grant, country }: WaitingAttachment,
  nowMs: number,
): SubscriberAttachment {
  return {
    v: 1,
    role: "subscriber",
    protocol,
    gap,
    behind: null,
    grant,
    connectedAtMs: nowMs,
    ...(country !== undefined && { country }),
  };
}

/** Makes an attachment part of its socket. */
export function writeAttachment(socket: WebSocket, attachment: Attachment): void {
  socket.serializeAttachment(attachment);
}

/** Reads a socket's attachment; `null` for one that another version wrote. */
export function readAttachment(socket: WebSocket): Attachment | null {
  const parsed = v.safeParse(AttachmentSchema, socket.deserializeAttachment());
  return parsed.success ? parsed.output : null;
}
