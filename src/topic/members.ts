/**
 * Who is here: a topic's members by their sockets, how they come and go, and who must make room. Knows neither phases
 * nor messages: what follows from a member's leaving is its owner's business.
 * Invariant: who was dismissed or is gone is nowhere: neither here, nor in the audience, nor among the grants.
 */
import { SERVICE_RESTART, type Close } from "../core/close-code.ts";
import { excessOf } from "../core/topic-state.ts";
import type { Audience } from "../delivery/audience.ts";
import { readAttachment, type PublisherAttachment } from "./attachment.ts";
import { Grants } from "./grants.ts";
import type { LogPosition } from "./log-meta.ts";
import { Publisher } from "./publisher.ts";
import { Publishers } from "./publishers.ts";
import { findSilentPublishers } from "./silent-publishers.ts";
import type { Sockets } from "./sockets.ts";
import { SubscriberMember } from "./subscriber-member.ts";
import { Vanished } from "./vanished.ts";

/** What one member carries through hibernation for the whole topic. */
export type Carried = Pick<PublisherAttachment, "log" | "lookedAtMs" | "policyAtMs">;

/** The members of one topic. */
export class Members {
  readonly publishers: Publishers = new Publishers();
  readonly grants: Grants = new Grants();
  readonly #subscribers: Map<WebSocket, SubscriberMember> = new Map();
  readonly #audience: Audience;
  readonly #sockets: Sockets;
  readonly #vanished: Vanished;
  /** Who carries the place of the log, and nobody else does. */
  #carrier: Publisher | SubscriberMember | null = null;

  constructor(audience: Audience, sockets: Sockets) {
    this.#audience = audience;
    this.#sockets = sockets;
    this.#vanished = new Vanished((socket) => sockets.lastHeartbeatMs(socket));
  }

  /** How many are here, in whichever role; those that the hub has closed are not. */
  get size(): number {
    return this.publishers.size + this.#subscribers.size;
  }

  /** Those that receive. */
  get subscribers(): ReadonlyMap<WebSocket, SubscriberMember> {
    return this.#subscribers;
  }

  /** Takes a newcomer, or one that was here before the object slept; keys were looked at not long before `seenMs`. */
  add(member: Publisher | SubscriberMember, seenMs: number): void {
    if (member instanceof Publisher) this.publishers.set(member.socket, member);
    else this.#subscribers.set(member.socket, member);
    this.grants.add(member, seenMs);
  }

  /** Takes back the sockets after a wake; those that cannot be placed are told to come back. Says what they carried. */
  adopt(sockets: Iterable<WebSocket>, isStateKnown: boolean): Carried {
    const members: (Publisher | SubscriberMember)[] = [];
    let lookedAtMs = 0;
    let policyAtMs = 0;
    for (const socket of sockets) {
      const attachment = isStateKnown ? readAttachment(socket) : null;
      switch (attachment?.role) {
        case "publisher":
          members.push(new Publisher(socket, attachment));
          lookedAtMs = Math.max(lookedAtMs, attachment.lookedAtMs);
          policyAtMs = Math.max(policyAtMs, attachment.policyAtMs);
          break;
        case "subscriber":
          members.push(new SubscriberMember(socket, attachment));
          break;
        case "dismissed":
          this.#sockets.adoptDismissed(socket);
          break;
        case undefined:
          this.#sockets.dismiss(socket, SERVICE_RESTART);
          break;
      }
    }
    for (const member of members) this.add(member, lookedAtMs);
    this.#adoptCarrier(members);
    return { log: this.#carrier?.attachment.log ?? null, lookedAtMs, policyAtMs };
  }

  /** Whether anybody carries the place of the log. */
  get isLogCarried(): boolean {
    return this.#carrier !== null;
  }

  /** Lets the place of the log outlive hibernation, which is free there; `false`: nobody is here to carry it. */
  carryLog(log: LogPosition): boolean {
    const [publisher] = this.publishers.values();
    const [subscriber] = this.#subscribers.values();
    const carrier = publisher ?? subscriber ?? null;
    if (carrier !== this.#carrier) this.dropLog();
    this.#carrier = carrier;
    carrier?.remember({ log });
    return carrier !== null;
  }

  /** Lets nobody carry it any longer: an older place must never be gone on from. */
  dropLog(): void {
    this.#carrier?.remember({ log: null });
    this.#carrier = null;
  }

  /** Lets what is the topic's outlive hibernation likewise, while there is a publisher. */
  carry(changes: Partial<Omit<Carried, "log">>): void {
    const [first] = this.publishers.values();
    first?.remember(changes);
  }

  /** Closes a socket from the hub's side; from here on it counts for nothing, after a wake neither. */
  dismiss(socket: WebSocket, close: Close): void {
    this.remove(socket);
    this.#sockets.dismiss(socket, close);
  }

  /** Forgets a socket; says in which role it was here, `null`: it was not. */
  remove(socket: WebSocket): "publisher" | "subscriber" | null {
    const member = this.publishers.get(socket) ?? this.#subscribers.get(socket);
    if (member === undefined) return null;
    if (member === this.#carrier) this.#carrier = null;
    this.grants.delete(member);
    if (member instanceof Publisher) {
      this.publishers.delete(socket);
      return "publisher";
    }
    this.#subscribers.delete(socket);
    this.#vanished.forget(member);
    this.#audience.remove(socket);
    return "subscriber";
  }

  /** Publishers that missed their heartbeats, as many as must make room so that there are so many, or fewer. */
  silentPublishers(excess: number, nowMs: number): Publisher[] {
    const lastHeartbeatMs = (socket: WebSocket): number | null =>
      this.#sockets.lastHeartbeatMs(socket);
    return findSilentPublishers(excess, this.publishers.values(), lastHeartbeatMs, nowMs);
  }

  /** Subscribers that have vanished, as many as must make room for another one, or fewer. */
  vanishedSubscribers(limit: number | null, nowMs: number): readonly SubscriberMember[] {
    const excess = excessOf(this.#subscribers.size, limit);
    return excess === 0 ? [] : this.#vanished.find(excess, this.#subscribers.values(), nowMs);
  }

  /** Takes back who carries the place; where a version before left older ones, the newest counts. */
  #adoptCarrier(members: readonly (Publisher | SubscriberMember)[]): void {
    const carriers = members.filter(({ attachment }) => (attachment.log ?? null) !== null);
    const [newest, ...others] = carriers.toSorted(
      (one, two) => rankOf(one) - rankOf(two) || offsetOf(two) - offsetOf(one),
    );
    for (const other of others) other.remember({ log: null });
    this.#carrier = newest ?? null;
  }
}

/** A publisher's counts more: a version before left what a subscriber carried as it was. */
function rankOf({ attachment }: Publisher | SubscriberMember): number {
  return attachment.role === "publisher" ? 0 : 1;
}

function offsetOf({ attachment }: Publisher | SubscriberMember): number {
  return attachment.log?.offset ?? -1;
}
