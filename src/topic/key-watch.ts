/**
 * Watches over the keys and tokens by which a topic's sockets are here: closes those whose time is over or whose key
 * was revoked, at the first word of the alarm, of the domain, or of the key store when the key is used. Asks nothing
 * while nothing is sent. Knows neither phases nor roles.
 */
import type { Address } from "../core/address.ts";
import {
  ANEW,
  type Entry,
  type Heard,
  type KeyChange,
  type KeyStanding,
  type TopicBound,
} from "../core/change.ts";
import { mayPrecede } from "../core/clock.ts";
import { KEY_REJECTED, TOKEN_EXPIRED, TOO_MANY_TOPICS, type Close } from "../core/close-code.ts";
import { askAgain } from "../core/fresh-stub.ts";
import type { Grant } from "../core/grant.ts";
import { judgeGrant, type GrantVerdict } from "../core/judge.ts";
import type { DatedPolicy } from "../core/policy.ts";
import { logError } from "../log.ts";
import type { Grants } from "./grants.ts";
import type { Member } from "./member.ts";
import { Registration } from "./registration.ts";

/** When a registration that failed is tried again. */
const RETRY_MS = 5000;

/** What came of making a key known to the domain. */
export type Entering = "entered" | "unreachable" | "too-many-topics";

/** A join by a key, or of a publisher by a token. */
export interface Joining {
  /** `null`: by a token. Only the life must be known to the domain. */
  readonly keyId: number | null;
  readonly life: string | null;
  readonly bound: TopicBound;
}

/** What a watch needs of its topic. */
export interface WatchedTopic {
  readonly ctx: DurableObjectState;
  readonly env: Env;
  /** Known once somebody has connected. */
  address(): Address;
  /** The life that is under way, `null` while the topic is vacant. */
  life(): string | null;
  /** How many topics the domain may have, `null` while nobody has said. */
  bound(): TopicBound | null;
  /** Sockets must go, however many they are. */
  closeAll(sockets: readonly WebSocket[], close: Close): void;
  /** All publishers that are here by tokens must go. */
  closeTokenPublishers(close: Close): void;
  /** The domain or the key store has said what the domain allows. */
  adopt(policy: DatedPolicy, isFinal: boolean): void;
  /** Keys are looked at now. */
  looked(nowMs: number): void;
  /** What is due has changed. */
  rearm(): void;
}

/** The watch of one topic. */
export class KeyWatch {
  readonly registration: Registration;
  readonly grants: Grants;
  readonly #topic: WatchedTopic;
  /** How many sockets are on their way in, by key: it is not to be given up meanwhile. `null`: by tokens. */
  readonly #joining: Map<number | null, number> = new Map();
  /** Sockets by a key that is being entered wait for the same answer. */
  readonly #entering: Map<number | null, Promise<Entering>> = new Map();
  #retryAtMs: number | null = null;
  /** Whether a join is being decided on: the others by its key may be gone when that is done. */
  #isDeciding = false;
  /** The life that ended meanwhile. */
  #over: string | null = null;

  constructor(grants: Grants, topic: WatchedTopic) {
    this.grants = grants;
    this.#topic = topic;
    const { kv } = topic.ctx.storage;
    this.registration = new Registration(kv, topic.env, () => topic.address());
  }

  /** Reads what outlived memory. */
  load(): void {
    this.#retryAtMs = this.registration.isIncomplete ? Date.now() + RETRY_MS : null;
  }

  /** When the first thing is due that the alarm is for, `null`: nothing is; milliseconds since the epoch. */
  get dueAtMs(): number | null {
    const { nextExpiryMs } = this.grants;
    if (this.#retryAtMs === null || nextExpiryMs === null) return this.#retryAtMs ?? nextExpiryMs;
    return Math.min(this.#retryAtMs, nextExpiryMs);
  }

  /**
   * Runs a join while the domain knows of its key, so that the object has heard, and goes on to hear, what becomes
   * of it. Where the domain cannot be reached, it is told later.
   */
  async join<T>({ keyId, life, bound }: Joining, decide: (entering: Entering) => T): Promise<T> {
    this.#joining.set(keyId, (this.#joining.get(keyId) ?? 0) + 1);
    try {
      const isKnown = this.registration.covers(life, listOf(keyId));
      const entering = isKnown ? "entered" : await this.#enter({ keyId, life, bound });
      // From here on without a pause: what is decided is done before anything else happens.
      this.#isDeciding = true;
      return decide(entering);
    } finally {
      this.#isDeciding = false;
      const others = (this.#joining.get(keyId) ?? 1) - 1;
      if (others > 0) this.#joining.set(keyId, others);
      else this.#joining.delete(keyId);
      const over = this.#over;
      this.#over = null;
      if (over !== null) this.withdraw(over);
    }
  }

  /** Whether any socket is on its way in. */
  get isJoining(): boolean {
    return this.#joining.size > 0;
  }

  /** What a key's grant is worth, given what was heard. */
  judge(grant: Grant, keyId: number, isRechecked: boolean): GrantVerdict {
    const change = this.registration.changeOf(keyId);
    return change === null
      ? { type: "good", grant }
      : judgeGrant(grant, change, isRechecked, Date.now());
  }

  /** Closes whose time is over. */
  expire(nowMs: number): void {
    const byToken: WebSocket[] = [];
    const byKey: WebSocket[] = [];
    for (const { socket, grant } of this.grants.takeExpired(nowMs)) {
      const isToken = (grant?.keyId ?? null) === null;
      (isToken ? byToken : byKey).push(socket);
    }
    this.#topic.closeAll(byToken, TOKEN_EXPIRED);
    this.#topic.closeAll(byKey, KEY_REJECTED);
  }

  /** Makes sure that the domain knows of keys, and of the life: it may have been out of reach. */
  ensureRegistered(keyIds: readonly number[]): void {
    const life = this.#topic.life();
    if (this.registration.covers(life, keyIds)) return;
    this.#topic.ctx.waitUntil(this.#register(life, keyIds));
  }

  /** The keys that are in use; the others are given up, for the domain strikes them. */
  takeStock(): number[] {
    for (const keyId of this.registration.keyIds) {
      if (!this.#isInUse(keyId)) this.registration.drop(keyId);
    }
    const joining = [...this.#joining.keys()].flatMap(listOf);
    return [...new Set([...this.grants.keyIds, ...joining])];
  }

  /** Tells the domain of everything, if it could not be reached when it should have been told. */
  completeRegistration(): void {
    this.#retryAtMs = null;
    if (!this.registration.isIncomplete) return;
    if (this.#isComplete) this.registration.isIncomplete = false;
    else this.ensureRegistered(this.grants.keyIds);
  }

  /** A life is over; keys that sockets are still here by stay known. */
  withdraw(life: string): void {
    if (this.#isDeciding) {
      this.#over = life;
      return;
    }
    const left = this.registration.leave(life, this.takeStock()).catch((error: unknown) => {
      // The domain is out of reach: it finds out when it next tells this topic of something, or sweeps.
      logError({ event: "domain-unreachable", error: String(error) });
    });
    this.#topic.ctx.waitUntil(left);
  }

  /** Applies what the domain says of a key. */
  hear(change: KeyChange): Omit<Heard, "isLive"> {
    const { keyId } = change;
    const closed = this.registration.hear(change) ? this.#settle(change, false) : 0;
    const holdsKey = this.#isInUse(keyId);
    if (!holdsKey) this.registration.drop(keyId);
    return { closed, holdsKey };
  }

  /** The same of a domain of version 0.1, which knows no clock but its own. */
  hearBefore(keyId: number, standing: KeyStanding): number {
    const nowMs = Date.now();
    const closed = this.#settle(this.registration.note(keyId, standing, nowMs), false);
    // It has no date by the key store's clock: one that seems to be newer may be so by that clock alone.
    const isUndecided = standing.type === "dead" && this.grants.holds(keyId);
    if (isUndecided) this.#topic.ctx.waitUntil(this.#resolve(keyId, ANEW));
    return closed;
  }

  /** Has the keys looked at that are in use and were not for half a minute, and what the domain allows. */
  lookIfDue(nowMs: number): void {
    if (nowMs < this.grants.nextLookMs) return;
    const keyIds = this.grants.takeDue(nowMs);
    this.#topic.looked(nowMs);
    this.#topic.ctx.waitUntil(this.#look(keyIds, false));
  }

  /** Has the key store asked what the domain allows now, past all caches. */
  lookAnew(): void {
    this.#topic.ctx.waitUntil(this.#look([], true));
  }

  get #isComplete(): boolean {
    return this.registration.covers(this.#topic.life(), this.grants.keyIds);
  }

  #isInUse(keyId: number): boolean {
    return this.grants.holds(keyId) || this.#joining.has(keyId);
  }

  async #enter({ keyId, life, bound }: Joining): Promise<Entering> {
    await this.#entering.get(keyId);
    // It may have been entered for another life, or none.
    const keyIds = listOf(keyId);
    if (this.registration.covers(life, keyIds)) return "entered";
    const entering = this.#tryToEnter({ life, keyIds, bound });
    this.#entering.set(keyId, entering);
    try {
      return await entering;
    } finally {
      if (this.#entering.get(keyId) === entering) this.#entering.delete(keyId);
    }
  }

  /** Enters, and does what follows from the answer. */
  async #tryToEnter(entry: Omit<Entry, "holder">): Promise<Entering> {
    try {
      if (!(await this.registration.enter(entry))) return "too-many-topics";
    } catch (error) {
      // The domain is out of reach, overloaded or was reset.
      logError({ event: "domain-unreachable", error: String(error) });
      return "unreachable";
    }
    for (const keyId of entry.keyIds) {
      const change = this.registration.changeOf(keyId);
      if (change !== null) this.#settle(change, false);
    }
    const { policy } = this.registration;
    if (policy !== null) this.#topic.adopt(policy, false);
    return "entered";
  }

  async #register(life: string | null, keyIds: readonly number[]): Promise<void> {
    const entering = await this.#tryToEnter({ life, keyIds, bound: this.#topic.bound() });
    if (entering === "too-many-topics") this.#closeUncounted(life, keyIds);
    if (entering !== "entered") {
      this.registration.isIncomplete = true;
      this.#retryAtMs = Date.now() + RETRY_MS;
      this.#topic.rearm();
      return;
    }
    // The life that was entered may have ended meanwhile.
    if (life !== null && this.#topic.life() !== life) this.withdraw(life);
    if (this.registration.isIncomplete && this.#isComplete) this.registration.isIncomplete = false;
  }

  /** Closes whoever came while the domain could not say that it has too many topics. */
  #closeUncounted(life: string | null, keyIds: readonly number[]): void {
    if (life !== null) this.#topic.closeTokenPublishers(TOO_MANY_TOPICS);
    const held = keyIds.flatMap((keyId) => this.grants.heldBy(keyId));
    this.#topic.closeAll(
      held.map(([{ socket }]) => socket),
      TOO_MANY_TOPICS,
    );
  }

  /** Asks the key store, past all caches if it is to be `isFinal`; returns whether it answered. */
  async #look(keyIds: readonly number[], isFinal: boolean): Promise<boolean> {
    const { ctx } = this.#topic;
    try {
      const { domain } = this.#topic.address();
      const newerThanMs = isFinal ? ANEW : null;
      const answer = await askAgain(() => ctx.exports.KeyDesk.lookUp(domain, keyIds, newerThanMs));
      if (answer === null) return false;
      for (const { keyId, standing } of answer.standings) {
        const known = this.registration.changeOf(keyId);
        // What was pushed meanwhile is newer than what a cache said.
        if (known !== null && known.atMs > answer.atMs) continue;
        const change = this.registration.note(keyId, standing, answer.atMs);
        this.#settle(change, isFinal);
      }
      const { policy, atMs } = answer;
      if (policy !== null) this.#topic.adopt({ policy, atMs }, isFinal);
      return true;
    } catch (error) {
      // The edge is out of reach, which says nothing about the keys.
      logError({ event: "key-desk-unreachable", error: String(error) });
      return false;
    }
  }

  /**
   * Closes or renews the sockets of a key; returns how many were closed. `isFinal`: the key store was asked after
   * they had come, so that only a grant that is clearly newer stands against its word.
   */
  #settle({ keyId, standing, atMs }: KeyChange, isFinal: boolean): number {
    const closed: WebSocket[] = [];
    let isDoubtful = false;
    for (const [member, grant] of this.grants.heldBy(keyId)) {
      const isOlder = grant.checkedAtMs <= atMs;
      const maybeOlder = mayPrecede(grant.checkedAtMs, atMs);
      if (standing.type === "live") {
        const { expiresAtMs } = standing;
        if (isOlder) this.#renew(member, { ...grant, expiresAtMs, checkedAtMs: atMs });
      } else if (isOlder || (isFinal && maybeOlder)) {
        closed.push(member.socket);
      } else {
        // One that is clearly newer was given after the key had been switched on again.
        isDoubtful ||= maybeOlder;
      }
    }
    this.#topic.closeAll(closed, KEY_REJECTED);
    if (isDoubtful) this.#topic.ctx.waitUntil(this.#resolve(keyId, atMs));
    return closed.length;
  }

  /** Asks the key store of a key whose grants may be older than its end; where it does not answer the end counts. */
  async #resolve(keyId: number, endedAtMs: number): Promise<void> {
    if (await this.#look([keyId], true)) return;
    const suspects = this.grants
      .heldBy(keyId)
      .filter(([, grant]) => mayPrecede(grant.checkedAtMs, endedAtMs));
    this.#topic.closeAll(
      suspects.map(([{ socket }]) => socket),
      KEY_REJECTED,
    );
  }

  #renew(member: Member, grant: Grant): void {
    this.grants.renew(member, grant);
    this.#topic.rearm();
  }
}

function listOf(keyId: number | null): number[] {
  return keyId === null ? [] : [keyId];
}
