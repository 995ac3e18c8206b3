/**
 * What the operator may know of a topic's sockets. Reads them and changes nothing. Carries neither addresses nor
 * credentials: a key is its row's number, a token its subject.
 * Invariant: it looks at no more sockets than it reports.
 */
import type { Grant } from "../core/grant.ts";
import type { Protocol } from "../core/stream.ts";
import type { Subscriber } from "../delivery/subscriber.ts";
import type { Publisher } from "./publisher.ts";
import type { SubscriberMember } from "./subscriber-member.ts";

/** One socket. */
export interface SocketReport {
  readonly role: "publisher" | "subscriber";
  readonly protocol: Protocol;
  /** When it was accepted, `null` where a version before did. */
  readonly connectedAtMs: number | null;
  /** The key that opened it, else `null`. */
  readonly keyId: number | null;
  /** The subject of the token that opened it, else `null`. */
  readonly subject: string | null;
  /** `null` where nobody knows. */
  readonly country: string | null;
  /** Bytes that wait for it to read. */
  readonly waitingBytes: number;
  /** Messages that it is to get yet, or has not acknowledged; `null` for one of which nobody can say. */
  readonly messagesBehind: number | null;
}

/** The sockets of a topic, as far as a report asks for them. */
export interface ReportedSockets {
  readonly publishers: Iterable<Publisher>;
  /** Those that are farthest behind come first; each with the offset up to which it has all, as far as is known. */
  readonly subscribers: Iterable<readonly [Subscriber, number | null]>;
  /** The subscribers. */
  readonly members: ReadonlyMap<WebSocket, SubscriberMember>;
  /** The offset of the newest message. */
  readonly head: number;
}

/** Reports at most so many, publishers first. */
export function reportSockets(
  { publishers, subscribers, members, head }: ReportedSockets,
  limit: number,
): SocketReport[] {
  const reports: SocketReport[] = [];
  for (const publisher of publishers) {
    if (reports.length >= limit) return reports;
    reports.push(reportPublisher(publisher));
  }
  for (const [subscriber, offset] of subscribers) {
    if (reports.length >= limit) return reports;
    const messagesBehind = offset === null ? null : Math.max(0, head - offset);
    reports.push(reportSubscriber(subscriber, members.get(subscriber.socket), messagesBehind));
  }
  return reports;
}

function reportPublisher({ socket, protocol, attachment }: Publisher): SocketReport {
  return {
    role: "publisher",
    protocol,
    connectedAtMs: attachment.connectedAtMs,
    ...credentialOf(attachment.grant),
    country: attachment.country ?? null,
    // Runtimes before 1.20261117 lack it.
    waitingBytes: socket.bufferedAmount ?? 0,
    messagesBehind: null,
  };
}

function reportSubscriber(
  { protocol, backlog }: Subscriber,
  member: SubscriberMember | undefined,
  messagesBehind: number | null,
): SocketReport {
  return {
    role: "subscriber",
    protocol,
    connectedAtMs: member?.attachment.connectedAtMs ?? null,
    ...credentialOf(member?.grant ?? null),
    country: member?.attachment.country ?? null,
    waitingBytes: backlog,
    messagesBehind,
  };
}

function credentialOf(grant: Grant | null): Pick<SocketReport, "keyId" | "subject"> {
  return { keyId: grant?.keyId ?? null, subject: grant?.subject ?? null };
}
