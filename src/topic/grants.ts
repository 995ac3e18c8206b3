/**
 * Which members are here by a key or token, by key and by their end, so that neither a revocation nor a look at the
 * keys in use walks all sockets. An index: a grant itself is its member's. Members that presented nothing are not in
 * it. Knows no clock.
 */
import { hasEnded, type Grant } from "../core/grant.ts";
import type { Member } from "./member.ts";

/**
 * How long a key may be used without being looked at; with what caches may add, less than the minute in which
 * a key that somebody switched off by hand must be off.
 */
const LOOK_MS = 30_000;
/** Keys that are looked at at once: more make the question too large. */
const MAX_KEYS = 500;

/** The grants of one topic's members. */
export class Grants {
  readonly #members: Set<Member> = new Set();
  /** In the order in which they are looked at. */
  readonly #keys: Map<number, Set<Member>> = new Map();
  #nextLookMs = Infinity;
  /** No later than the first end of a grant; found out anew when that has passed. */
  #nextExpiryMs = Infinity;

  /** Takes a member, if it presented anything; keys were looked at not long before `seenMs`. */
  add(member: Member, seenMs: number): void {
    const { grant } = member;
    if (grant === null) return;
    this.#members.add(member);
    this.#expectEnd(grant);
    // For tokens, too: what the domain allows is looked at with the keys.
    this.#nextLookMs = Math.min(this.#nextLookMs, seenMs + LOOK_MS);
    if (grant.keyId === null) return;
    const known = this.#keys.get(grant.keyId);
    if (known === undefined) this.#keys.set(grant.keyId, new Set([member]));
    else known.add(member);
  }

  /** Gives a member another grant of the same key. */
  renew(member: Member, grant: Grant): void {
    member.regrant(grant);
    this.#expectEnd(grant);
  }

  /** Forgets a member. */
  delete(member: Member): void {
    this.#members.delete(member);
    if (this.isEmpty) this.#nextLookMs = Infinity;
    const keyId = member.grant?.keyId ?? null;
    if (keyId === null) return;
    const members = this.#keys.get(keyId);
    members?.delete(member);
    if (members?.size === 0) this.#keys.delete(keyId);
  }

  /** How many who are here presented anything. */
  get size(): number {
    return this.#members.size;
  }

  /** Whether nobody who is here presented anything. */
  get isEmpty(): boolean {
    return this.#members.size === 0;
  }

  /** The keys that members are here by. */
  get keyIds(): number[] {
    return [...this.#keys.keys()];
  }

  /** Whether any member is here by a key. */
  holds(keyId: number): boolean {
    return this.#keys.has(keyId);
  }

  /** The members that are here by a key, each with its grant. */
  heldBy(keyId: number): [Member, Grant][] {
    return [...(this.#keys.get(keyId) ?? [])].flatMap((member) =>
      member.grant === null ? [] : [[member, member.grant]],
    );
  }

  /** When keys and policy are to be looked at next, infinite without grants; cheap, for every message asks. */
  get nextLookMs(): number {
    return this.#nextLookMs;
  }

  /** The keys that are to be looked at now; each is again in half a minute. */
  takeDue(nowMs: number): number[] {
    const due = this.#keys.entries().take(MAX_KEYS).toArray();
    for (const [keyId, members] of due) {
      this.#keys.delete(keyId);
      this.#keys.set(keyId, members);
    }
    this.#nextLookMs = nowMs + LOOK_MS / Math.max(1, Math.ceil(this.#keys.size / MAX_KEYS));
    return due.map(([keyId]) => keyId);
  }

  /** The members whose time is over; walks all of them, once an alarm. */
  takeExpired(nowMs: number): Member[] {
    const expired: Member[] = [];
    this.#nextExpiryMs = Infinity;
    for (const member of this.#members) {
      if (member.grant === null) continue;
      if (hasEnded(member.grant, nowMs)) expired.push(member);
      else this.#expectEnd(member.grant);
    }
    return expired;
  }

  /** When the next one's time is over, or earlier; `null` when none ends. Cheap: every batch asks. */
  get nextExpiryMs(): number | null {
    const isNone = this.#nextExpiryMs === Infinity || this.isEmpty;
    return isNone ? null : this.#nextExpiryMs;
  }

  #expectEnd({ expiresAtMs }: Grant): void {
    this.#nextExpiryMs = Math.min(this.#nextExpiryMs, expiresAtMs ?? Infinity);
  }
}
