/**
 * A topic's members by their sockets: how they come and go, and which must make room. Knows neither phases nor
 * messages: what follows from a member's leaving is its owner's business.
 * Invariant: one that was dismissed or is gone is nowhere: neither here, nor in the audience, nor among the grants.
 */
import { SERVICE_RESTART, type Close } from "../core/close-code.ts";
import type { Grant } from "../core/grant.ts";
import { excessOf } from "../core/topic-state.ts";
import type { Audience } from "../delivery/audience.ts";
import { turn } from "../delivery/turn.ts";
import { readAttachment, type PublisherAttachment } from "./attachment.ts";
import { Grants } from "./grants.ts";
import { rankCarriers } from "./log-carriers.ts";
import type { LogPosition } from "./log-meta.ts";
import { Publisher } from "./publisher.ts";
import { Publishers } from "./publishers.ts";
import { findSilentPublishers } from "./silent-publishers.ts";
import type { Sockets } from "./sockets.ts";
import { SubscriberMember } from "./subscriber-member.ts";
import { Vanished } from "./vanished.ts";
import { Waiting } from "./waiting.ts";
import { WaitingMember } from "./waiting-member.ts";

/** Sockets that are taken back before the loop turns. */
const SLICE = 32;

/** What one member carries through hibernation for the whole topic. */
export type Carried = Pick<PublisherAttachment, "log" | "lookedAtMs" | "policyAtMs">;

/** The members of one topic. */
export class Members {
  readonly publishers: Publishers = new Publishers();
  readonly grants: Grants = new Grants();
  readonly waiting: Waiting = new Waiting();
  #subscribers: Map<WebSocket, SubscriberMember> = new Map();
  /** Subscribers of a life that is over, or that came to read it, which are still to get something. */
  readonly #leaving: Map<WebSocket, SubscriberMember> = new Map();
  #lastLeavingMs = 0;
  readonly #audience: Audience;
  readonly #sockets: Sockets;
  readonly #vanished: Vanished;
  /** The member that carries the place of the log, as no other does. */
  #carrier: Publisher | SubscriberMember | null = null;

  constructor(audience: Audience, sockets: Sockets) {
    this.#audience = audience;
    this.#sockets = sockets;
    this.#vanished = new Vanished((socket) => sockets.lastHeartbeatMs(socket));
  }

  /** How many are here, in whichever role; those that the hub has closed are not. */
  get size(): number {
    const receiving = this.#subscribers.size + this.#leaving.size + this.waiting.size;
    return this.publishers.size + receiving;
  }

  /** How many are of a life that is over, or came to read it. */
  get leaving(): number {
    return this.#leaving.size;
  }

  /** Those that came to read what is over, as long as nobody else is leaving: after a wake. */
  get readers(): SubscriberMember[] {
    return [...this.#leaving.values()];
  }

  /** Whether a socket is here, in whichever role. */
  has(socket: WebSocket): boolean {
    return this.publishers.has(socket) || this.#receiver(socket) !== undefined;
  }

  /** Those that receive, but for those that are leaving, or wait. */
  get subscribers(): ReadonlyMap<WebSocket, SubscriberMember> {
    return this.#subscribers;
  }

  /** Takes a newcomer, or one that was here before the object slept; keys were looked at not long before `seenMs`. */
  add(member: Publisher | SubscriberMember | WaitingMember, seenMs: number): void {
    if (member instanceof Publisher) this.publishers.set(member.socket, member);
    else if (member instanceof WaitingMember) this.#wait(member);
    else if (member.readsPast) this.#leaving.set(member.socket, member);
    else this.#subscribers.set(member.socket, member);
    this.grants.add(member, seenMs);
  }

  /**
   * Takes back the sockets after a wake; those that cannot be placed are told to come back, those of a life that was
   * over, whose last had come at `lastLeavingMs`, as well: what they were still to get is not known. Says what they
   * carried.
   */
  async adopt(
    sockets: readonly WebSocket[],
    {
      isStateKnown,
      lastLeavingMs,
    }: { readonly isStateKnown: boolean; readonly lastLeavingMs: number },
  ): Promise<Carried> {
    const members: (Publisher | SubscriberMember)[] = [];
    let lookedAtMs = 0;
    let policyAtMs = 0;
    for (const [n, socket] of sockets.entries()) {
      if (n % SLICE === SLICE - 1) await turn(0);
      const attachment = isStateKnown ? readAttachment(socket) : null;
      switch (attachment?.role) {
        case "publisher":
          members.push(new Publisher(socket, attachment));
          lookedAtMs = Math.max(lookedAtMs, attachment.lookedAtMs);
          policyAtMs = Math.max(policyAtMs, attachment.policyAtMs);
          break;
        case "subscriber":
          if (attachment.readsPast === true || (attachment.connectedAtMs ?? 0) > lastLeavingMs) {
            members.push(new SubscriberMember(socket, attachment));
          } else this.#sockets.dismiss(socket, SERVICE_RESTART);
          break;
        case "waiting":
          this.add(new WaitingMember(socket, attachment), 0);
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

  /** When the last of those who are leaving had come; milliseconds since the epoch. */
  get lastLeavingMs(): number {
    return this.#lastLeavingMs;
  }

  /** When a newcomer comes: after those who are leaving, so that a wake can tell them apart. */
  comesAtMs(nowMs: number): number {
    return this.leaving === 0 ? nowMs : Math.max(nowMs, this.#lastLeavingMs + 1);
  }

  /** The subscribers' life is over. */
  end(): void {
    if (this.leaving === 0) this.#lastLeavingMs = 0;
    for (const [socket, member] of this.#subscribers) {
      this.#leaving.set(socket, member);
      const { connectedAtMs = 0 } = member.attachment;
      this.#lastLeavingMs = Math.max(this.#lastLeavingMs, connectedAtMs);
    }
    this.#subscribers = new Map();
  }

  /** Those that receive, or wait to, and presented nothing. */
  get strangers(): WebSocket[] {
    // Asked with each post on a vacant topic, which need not walk all who are here.
    if (this.size === this.grants.size) return [];
    const receiving = [this.#subscribers, this.#leaving, this.waiting];
    const all = receiving.flatMap((members) => [...members.values()]);
    return all.filter(({ grant }) => grant === null).map(({ socket }) => socket);
  }

  /** Those that publish by tokens. */
  get tokenPublishers(): WebSocket[] {
    const byToken = this.publishers.values().filter(({ isByToken }) => isByToken);
    return byToken.map(({ socket }) => socket).toArray();
  }

  /** Closes a socket from the hub's side; from here on it counts for nothing, after a wake neither. */
  dismiss(socket: WebSocket, close: Close): void {
    this.remove(socket);
    this.#sockets.dismiss(socket, close);
  }

  /** The same with many, some at a time; at once they are nowhere. */
  dismissAll(sockets: readonly WebSocket[], close: Close): void {
    for (const socket of sockets) this.remove(socket);
    this.#sockets.dismissAll(sockets, close);
  }

  /** Forgets a socket; says in which role it was here, `null`: it was not. */
  remove(socket: WebSocket): "publisher" | "subscriber" | null {
    const member = this.publishers.get(socket) ?? this.#receiver(socket);
    if (member === undefined) return null;
    if (member === this.#carrier) this.#carrier = null;
    this.grants.delete(member);
    if (member instanceof Publisher) {
      this.publishers.delete(socket);
      return "publisher";
    }
    this.#subscribers.delete(socket);
    this.#leaving.delete(socket);
    this.waiting.delete(socket);
    if (member instanceof SubscriberMember) this.#vanished.forget(member);
    this.#audience.remove(socket);
    return "subscriber";
  }

  /** Publishers that yield to a grant and missed their heartbeats: so many, or fewer. */
  silentPublishers(excess: number, newcomer: Grant | null, nowMs: number): Publisher[] {
    const lastHeartbeatMs = (socket: WebSocket): number | null =>
      this.#sockets.lastHeartbeatMs(socket);
    const yielding = this.publishers.values().filter((member) => member.yieldsTo(newcomer));
    return findSilentPublishers(excess, yielding, lastHeartbeatMs, nowMs);
  }

  /** Subscribers that have vanished, as many as must make room for another one, or fewer. */
  vanishedSubscribers(limit: number | null, nowMs: number): readonly SubscriberMember[] {
    const excess = excessOf(this.#subscribers.size, limit);
    return excess === 0 ? [] : this.#vanished.find(excess, this.#subscribers.values(), nowMs);
  }

  #wait(member: WaitingMember): void {
    this.waiting.add(member);
    this.#audience.expect(member);
  }

  #receiver(socket: WebSocket): SubscriberMember | WaitingMember | undefined {
    const subscriber = this.#subscribers.get(socket) ?? this.#leaving.get(socket);
    return subscriber ?? this.waiting.get(socket);
  }

  /** Takes back who carries the place. */
  #adoptCarrier(members: readonly (Publisher | SubscriberMember)[]): void {
    const [newest, ...others] = rankCarriers(members);
    for (const other of others) other.remember({ log: null });
    this.#carrier = newest ?? null;
  }
}
