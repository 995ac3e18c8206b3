/**
 * The Durable Object that knows which topics of a domain are live, which objects hold grants of its keys, what
 * changed of late, and its tickets. Control plane only: no message passes it, and while it is out of reach live
 * topics go on. Invariant: an object that has entered hears of every change that concerns it, in the answer or
 * later. The rest of the file are its names of version 0.1, which other objects may still call.
 */
import { DurableObject } from "cloudflare:workers";
import {
  ANEW,
  HELD_AT_MS,
  type Change,
  type Entered,
  type Entry,
  type KeyChange,
  type KeyStanding,
  type LookUp,
  type Told,
} from "../core/change.ts";
import { askAgain } from "../core/fresh-stub.ts";
import type { Grant } from "../core/grant.ts";
import { DEFAULT_POLICY, type Policy } from "../core/policy.ts";
import { logError } from "../log.ts";
import { Changes, NUMBER } from "./changes.ts";
import { COUNT } from "./register-count.ts";
import { Register, type LiveTopic } from "./register.ts";
import { CROWDED_SWEEP_MS, sweep, SWEEP_MS } from "./sweep.ts";
import { retryAt, Teller } from "./teller.ts";
import { Tickets, type TakenTicket } from "./tickets.ts";
import { TopicStubs } from "./topic-stubs.ts";

/** A change that is told of is told again if this object dies meanwhile. */
const FIRST_RETRY_MS = 5000;
/** Alarms are set to whole steps of this, so that what ends one by one does not wake the object one by one. */
const ALARM_STEP_MS = 5000;
/** When the register was swept last. */
const SWEPT = "swept";
/** Somebody was refused since then, because there are too many topics. */
const CROWDED = "crowded";
/** What is no use without the rest. */
const BOOKKEEPING: readonly string[] = [NUMBER, SWEPT, CROWDED, COUNT];

/** One domain. */
export class Domain extends DurableObject<Env> {
  readonly #changes: Changes;
  readonly #register: Register;
  readonly #tickets: Tickets;
  readonly #topics: TopicStubs;
  readonly #teller: Teller;
  /** The alarm that is set. */
  #alarmAtMs: number | null = null;
  /** Keys of which the key store is asked what it says now. */
  readonly #settling: Set<number> = new Set();
  /** When changes are to be looked through for old ones; `null`: not known. */
  #expiryAtMs: number | null = null;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    const { kv } = ctx.storage;
    this.#changes = new Changes(ctx.storage);
    this.#register = new Register(kv);
    this.#tickets = new Tickets(kv);
    this.#topics = new TopicStubs(env, () => this.#name);
    this.#teller = new Teller(this.#changes, this.#register, this.#topics);
    void ctx.blockConcurrencyWhile(async () => {
      this.#alarmAtMs = await ctx.storage.getAlarm();
      await this.#adoptBefore();
      // The runtime gives up on an alarm that failed several times, and says so to nobody.
      if (this.#alarmAtMs === null && this.#stored(1).length > 0) {
        await this.#wakeBy(Date.now() + FIRST_RETRY_MS);
      }
    });
  }

  /** Makes an object known, with its keys; from now on it is told of what concerns it. */
  async enter(entry: Entry): Promise<Entered> {
    const nowMs = Date.now();
    if (!this.#register.enter(entry, this.#maxTopics(entry), nowMs)) {
      if (!this.#isCrowded) this.ctx.storage.kv.put(CROWDED, true);
      await this.#wakeBy(Math.max(nowMs, this.#nextSweepMs));
      return { changes: [], policy: null, hasTooManyTopics: true };
    }
    await this.#expectSweep(nowMs);
    const changes = entry.keyIds.map((keyId) => this.#changes.ofKey(keyId));
    return {
      changes: changes.filter((change) => change !== null),
      policy: this.#changes.ofPolicy(),
    };
  }

  /** Strikes a topic whose life is over, and the keys that it had and that are not in use any more. */
  async leave(holder: string, life: string, keyIdsInUse: readonly number[]): Promise<void> {
    this.#register.leave(holder, life, keyIdsInUse);
    await this.#forgetIfEmpty();
  }

  /**
   * Tells every object that has a key what the key store says of it; what is older than the last change changes
   * nothing. A revocation that is held ends here only when the key store has it for good.
   */
  async changeKey(
    keyId: number,
    standing: KeyStanding,
    atMs: number,
    isForGood: boolean,
  ): Promise<Told> {
    const isHeld = this.#changes.isHeld(keyId);
    if (isHeld && !isForGood) return { closed: 0, told: 0, missed: 0, isHeld };
    if (isHeld) return this.#tell(this.#changes.release(keyId, atMs, Date.now()));
    const isClear = isForGood || !this.#changes.mayContradictKey(keyId, standing, atMs);
    const word = isClear ? null : await this.#settle(keyId);
    return this.#tell(
      this.#changes.recordKey(
        keyId,
        word?.standings[0]?.standing ?? standing,
        word?.atMs ?? atMs,
        Date.now(),
      ),
    );
  }

  /** Tells every live topic the domain's policy; an older one than the last changes nothing. */
  async changePolicy(policy: Policy, atMs: number): Promise<Told> {
    const isClear = !this.#changes.mayContradictPolicy(policy, atMs);
    const word = isClear ? null : await this.#askAnew(null);
    return this.#tell(
      this.#changes.recordPolicy(word?.policy ?? policy, word?.atMs ?? atMs, Date.now()),
    );
  }

  /** Ends a key although the key store cannot be reached, and sees to it that the key store gets it. */
  async holdRevocation(keyId: number): Promise<Told> {
    return this.#tell(this.#changes.hold(keyId, Date.now()));
  }

  /** The last change of a key, `null` when there was none of late. */
  changeOf(keyId: number): KeyChange | null {
    return this.#changes.ofKey(keyId);
  }

  /** The key desk found a key dead; nothing, if that is known. */
  async reportDeadKey(keyId: number, atMs: number): Promise<void> {
    const known = this.#changes.ofKey(keyId);
    if (known?.standing.type === "dead" && known.atMs >= atMs) return;
    // It is being asked for right now, and the answer counts.
    if (this.#settling.has(keyId)) return;
    // Every topic on which the key is used finds out by itself, and says so.
    await this.changeKey(keyId, { type: "dead" }, atMs, false);
  }

  /** A page of the live topics, in the order of their names. */
  topics(after: string, limit: number): LiveTopic[] {
    return this.#register.topics(after, limit);
  }

  /** Since when a topic is live, `null` when it is not. */
  liveSince(topic: string): number | null {
    return this.#register.liveSince(topic);
  }

  /** Keeps a ticket, by its hash. */
  async issueTicket(hash: string, topic: string, grant: Grant): Promise<void> {
    await this.#wakeBy(this.#tickets.add(hash, topic, grant, Date.now()));
  }

  /** Takes a ticket, so that nobody else can use it; `null` when it opens nothing. */
  tryTicket(hash: string, topic: string): TakenTicket | null {
    return this.#tickets.take(hash, topic, Date.now());
  }

  /** Takes a ticket back that did not open its topic for another reason; too old a one is gone. */
  async giveTicketBack(hash: string, topic: string, ticket: TakenTicket): Promise<void> {
    if (ticket.untilMs <= Date.now()) return;
    this.#tickets.giveBack(hash, topic, ticket);
    await this.#wakeBy(ticket.untilMs);
  }

  override async alarm(): Promise<void> {
    this.#alarmAtMs = null;
    try {
      await this.#seeToAll();
    } catch (error) {
      // The platform tries again, unless another alarm is set meanwhile: that one must not be a day away.
      await this.#wakeBy(Date.now() + FIRST_RETRY_MS);
      throw error;
    }
  }

  /** Version 0.1: uses a ticket up for good. */
  takeTicket(hash: string, topic: string): Grant | null {
    return this.#tickets.take(hash, topic, Date.now())?.grant ?? null;
  }

  /** Version 0.1: enters a live topic. */
  async register(topic: string, isStart: boolean): Promise<{ keyId: number; atMs: number }[]> {
    const nowMs = Date.now();
    this.#register.enterBefore(topic, isStart, nowMs);
    await this.#expectSweep(nowMs);
    return [...this.#changes.revocations()];
  }

  /** Version 0.1: strikes a topic that was over at a time. */
  unregister(topic: string, atMs: number): void {
    this.#register.leaveBefore(topic, atMs);
  }

  /** Version 0.1: what caches may still contradict. */
  revocations(): { keyId: number; atMs: number }[] {
    return [...this.#changes.revocations()];
  }

  /** Version 0.1: `changeKey` by an edge that knows no clock but its own. */
  async applyKey(keyId: number, standing: KeyStanding): Promise<number> {
    return (await this.changeKey(keyId, standing, Date.now(), false)).closed;
  }

  /** Version 0.1: `reportDeadKey`. */
  async reportDead(keyId: number, checkedAtMs: number): Promise<void> {
    await this.reportDeadKey(keyId, checkedAtMs);
  }

  /** Does what is due, and sets the alarm for what is due next. */
  async #seeToAll(): Promise<void> {
    await Promise.all([this.#tellPending(), this.#deliverHeld(), this.#sweepDaily()]);
    const nowMs = Date.now();
    if (nowMs >= (this.#expiryAtMs ?? 0)) this.#expiryAtMs = this.#changes.expire(nowMs);
    const due = [
      this.#tickets.expire(nowMs),
      this.#expiryAtMs,
      ...this.#changes.pending().map(({ sinceMs }) => retryAt(sinceMs, nowMs)),
      ...this.#changes.held().map(({ sinceMs }) => retryAt(sinceMs, nowMs)),
      this.#register.all("", 1).length > 0 ? this.#nextSweepMs : null,
    ].filter((atMs) => atMs !== null);
    if (due.length > 0) await this.#wakeBy(Math.min(...due));
    await this.#forgetIfEmpty();
  }

  get #name(): string {
    const { name } = this.ctx.id;
    if (name === undefined) throw new Error("Domain has no name");
    return name;
  }

  /** The first sweep is a day after the first entry. */
  async #expectSweep(nowMs: number): Promise<void> {
    if (this.#sweptMs === 0) this.ctx.storage.kv.put(SWEPT, nowMs);
    await this.#wakeBy(nowMs + SWEEP_MS);
  }

  get #sweptMs(): number {
    return Number(this.ctx.storage.kv.get(SWEPT) ?? 0);
  }

  get #nextSweepMs(): number {
    return this.#sweptMs + this.#sweepMs;
  }

  /** Stored: this object may sleep until the sweep is due. */
  get #isCrowded(): boolean {
    return this.ctx.storage.kv.get(CROWDED) !== undefined;
  }

  get #sweepMs(): number {
    return this.#isCrowded ? CROWDED_SWEEP_MS : SWEEP_MS;
  }

  /** The newest that is known; an object of the version before, which would not hear of it, is always entered. */
  #maxTopics({ bound }: Entry): number {
    if (bound === undefined) return Infinity;
    const told = this.#changes.ofPolicy();
    if (told !== null && told.atMs > (bound?.atMs ?? 0)) return told.policy.maxTopics;
    return bound?.maxTopics ?? DEFAULT_POLICY.maxTopics;
  }

  async #tell(change: Change | null): Promise<Told> {
    if (change === null) return { closed: 0, told: 0, missed: 0, isHeld: false };
    await this.#wakeBy(Date.now() + FIRST_RETRY_MS);
    const told = await this.#teller.tell(change);
    return { ...told, isHeld: change.atMs === HELD_AT_MS };
  }

  async #tellPending(): Promise<void> {
    await Promise.all(
      this.#changes.pending().map(async (pending) => {
        const change = this.#changes.find(pending);
        if (change !== null) await this.#teller.tell(change);
      }),
    );
  }

  /** Brings revocations to the key store that it could not be told of. */
  async #deliverHeld(): Promise<void> {
    await Promise.all(
      this.#changes.held().map(async ({ keyId }) => {
        try {
          const revoked = await askAgain(() => this.ctx.exports.KeyDesk.revoke(this.#name, keyId));
          if (revoked === null || !this.#changes.isHeld(keyId)) return;
          await this.#tell(this.#changes.release(keyId, revoked.atMs, Date.now()));
        } catch (error) {
          // The edge is out of reach: the next alarm tries again.
          logError({ event: "key-desk-unreachable", error: String(error) });
        }
      }),
    );
  }

  async #settle(keyId: number): Promise<LookUp | null> {
    this.#settling.add(keyId);
    try {
      return await this.#askAnew(keyId);
    } finally {
      this.#settling.delete(keyId);
    }
  }

  /**
   * Asks the key store which of two words that it gave within two seconds is the later one: what it says now is later
   * than both. `null` where it does not answer: then their times must do.
   */
  async #askAnew(keyId: number | null): Promise<LookUp | null> {
    try {
      const keyIds = keyId === null ? [] : [keyId];
      return await askAgain(() => this.ctx.exports.KeyDesk.lookUp(this.#name, keyIds, ANEW));
    } catch (error) {
      logError({ event: "key-desk-unreachable", error: String(error) });
      return null;
    }
  }

  async #sweepDaily(): Promise<void> {
    const nowMs = Date.now();
    if (this.#nextSweepMs > nowMs || this.#register.all("", 1).length === 0) return;
    const unheardMs = this.#sweepMs;
    this.ctx.storage.kv.delete(CROWDED);
    this.ctx.storage.kv.put(SWEPT, nowMs);
    await sweep(this.#register, this.#topics, { nowMs, unheardMs });
  }

  /** Nothing of a domain stays behind that nobody uses any more. */
  async #forgetIfEmpty(): Promise<void> {
    const stored = this.#stored(BOOKKEEPING.length + 1);
    if (stored.length === 0 || !stored.every((key) => BOOKKEEPING.includes(key))) return;
    this.#alarmAtMs = null;
    await this.ctx.storage.deleteAll();
  }

  /** The first so many keys that are in use. */
  #stored(limit: number): string[] {
    return Array.from(this.ctx.storage.kv.list({ limit }), ([key]) => key);
  }

  /** Takes over what version 0.1 has stored. */
  async #adoptBefore(): Promise<void> {
    const { kv } = this.ctx.storage;
    // This version keeps books of whatever it enters; tickets have stayed the same.
    if (BOOKKEEPING.some((key) => kv.get(key) !== undefined) || this.#stored(1).length === 0)
      return;
    const nowMs = Date.now();
    const hasTopics = this.#register.adoptBefore();
    const hasChanges = this.#changes.adoptBefore(nowMs);
    if (!hasTopics && !hasChanges) return;
    kv.put(SWEPT, nowMs);
    await this.#wakeBy(nowMs + FIRST_RETRY_MS);
  }

  /** Makes sure that the alarm fires at a time or a few seconds later. */
  async #wakeBy(atMs: number): Promise<void> {
    const stepMs = Math.ceil(atMs / ALARM_STEP_MS) * ALARM_STEP_MS;
    if (this.#alarmAtMs !== null && this.#alarmAtMs <= stepMs) return;
    await this.ctx.storage.setAlarm(stepMs);
    this.#alarmAtMs = stepMs;
  }
}
