/**
 * What becomes of an object whose topic is over: what is kept of it is read, then goes, and then the object itself out
 * of memory.
 * Invariant: nothing is stored of a vacant topic but what is kept for a time, a log and what was finished, and what
 * those that wait need.
 */
import { SERVICE_RESTART } from "../core/close-code.ts";
import type { Policy } from "../core/policy.ts";
import type { Since } from "../core/since.ts";
import { VACANT } from "../core/topic-state.ts";
import type { Audience } from "../delivery/audience.ts";
import type { Alarm } from "./alarm.ts";
import type { FinishedLife } from "./finished-life.ts";
import type { KeyWatch } from "./key-watch.ts";
import type { Log } from "./log.ts";
import type { Members } from "./members.ts";
import type { OwnAddress } from "./own-address.ts";
import type { Sockets } from "./sockets.ts";
import { storeState } from "./state-store.ts";
import type { SubscriberMember } from "./subscriber-member.ts";

/** A deserted object stays in memory for so long at most to remember how much of their rate publishers have used. */
const MAX_REMEMBER_MS = 2000;

/** How often it is looked whether those are still there for whom something is kept. */
const LOOK_MS = 60_000;

/** Stored while subscribers of a life that is over are still served: when the last of them had come. */
const LEAVING = "leaving";

/** The parts of a topic that a vacancy empties. */
export interface VacantParts {
  readonly address: OwnAddress;
  readonly alarm: Alarm;
  readonly audience: Audience;
  readonly ctx: DurableObjectState;
  readonly finished: FinishedLife;
  readonly keyWatch: KeyWatch;
  readonly log: Log;
  readonly members: Members;
  readonly sockets: Sockets;
  isVacant(): boolean;
  /** Something is wrong that nobody has foreseen. */
  onFailure(error: unknown): void;
}

/** The vacancy of one topic. */
export class Vacancy {
  readonly #parts: VacantParts;

  constructor(parts: VacantParts) {
    this.#parts = parts;
  }

  /** A life is over: stores nothing but what is kept for a time, or for those who are leaving. */
  begin(life: string): void {
    const { ctx, finished, keyWatch, log, members } = this.#parts;
    keyWatch.withdraw(life);
    const keepUntilMs = log.retire(Date.now());
    if (members.leaving > 0) ctx.storage.kv.put(LEAVING, members.lastLeavingMs);
    else if (keepUntilMs === null) {
      this.#deleteAll();
      return;
    }
    finished.store({ isEmptied: false });
    storeState(ctx.storage, VACANT);
  }

  /**
   * When something that is kept for a time is over, `null`: nothing is; milliseconds since the epoch. Those who are
   * leaving, or are replayed to, keep it for longer and see to it then; but if memory is lost first, only the alarm will.
   */
  get dueAtMs(): number | null {
    const { finished, log, members } = this.#parts;
    const isRead = members.leaving > 0;
    // What is set aside for them is kept for nobody else.
    if (isRead && this.lastLeavingMs !== null) return nextLookMs();
    const dueAtMs = Math.min(log.keepUntilMs ?? Infinity, finished.untilMs ?? Infinity);
    if (dueAtMs === Infinity) return null;
    return isRead || log.isHeld ? Math.max(dueAtMs, nextLookMs()) : dueAtMs;
  }

  /** Gives a newcomer what it asks for of the life that is over; then it is told how that ended, and closed. */
  read(member: SubscriberMember, since: Since, policy: Policy): void {
    this.#read(member, since, policy, { isBack: false });
  }

  /** The same after a wake, with all who were here for it. The next life does not know where the last one ended. */
  readOn(policy: Policy): void {
    const { log, members } = this.#parts;
    const hasPast = this.#parts.isVacant() && log.hasPast(Date.now());
    for (const member of members.readers) {
      const cursor = member.behind ?? log.head;
      if (hasPast) this.#read(member, { type: "cursor", cursor }, policy, { isBack: true });
      else members.dismiss(member.socket, SERVICE_RESTART);
    }
  }

  /** The next life begins: after a crash, too, it is known that what is kept for those of the last one must go. */
  end(): void {
    const { ctx, members } = this.#parts;
    const isNew = members.leaving > 0 && this.lastLeavingMs === null;
    if (isNew) ctx.storage.kv.put(LEAVING, members.lastLeavingMs);
  }

  /** When the last subscriber had come of a life that was over as memory was lost; `null`: nobody was left of any. */
  get lastLeavingMs(): number | null {
    const lastMs = this.#parts.ctx.storage.kv.get(LEAVING);
    return typeof lastMs === "number" ? lastMs : null;
  }

  /** The last one is gone that was given a life that is over, if it was not at once: what was kept for it goes. */
  finish(): void {
    const { alarm, ctx, log, members } = this.#parts;
    if (members.leaving > 0 || (this.lastLeavingMs === null && !log.isPastRead)) return;
    ctx.storage.kv.delete(LEAVING);
    log.discardPast();
    if (!this.#parts.isVacant()) return;
    if (log.keepUntilMs === null) this.#deleteAll();
    else this.expire(Date.now());
    alarm.rearm();
  }

  /** Gives up what has outlived its time, of a log also what of it has. */
  expire(nowMs: number): void {
    const { finished, log, members } = this.#parts;
    const isForgotten = finished.expire(nowMs);
    const isLogOver = this.#parts.isVacant() && log.isOver(nowMs);
    if (!isLogOver) log.expire(nowMs);
    if (!this.#parts.isVacant() || members.leaving > 0) return;
    if (isLogOver) log.reset();
    if (isLogOver || (isForgotten && log.keepUntilMs === null)) this.#deleteAll();
  }

  /**
   * All that was kept is forgotten: the database of a vacant topic goes, and with it what its free pages still hold.
   * Those who are leaving need nothing of it but to be known after a wake.
   */
  empty(): void {
    const { ctx, members } = this.#parts;
    if (!this.#parts.isVacant()) return;
    const lastMs = members.leaving > 0 ? this.lastLeavingMs : null;
    this.#deleteAll();
    if (lastMs !== null) ctx.storage.kv.put(LEAVING, lastMs);
  }

  /** Nothing that those who waited on a vacant topic had stored outlives them. */
  forgetAddress(): void {
    const { address, keyWatch, log } = this.#parts;
    if (!this.#isDeserted || log.keepUntilMs !== null) return;
    if (!keyWatch.registration.isIncomplete) address.forget();
  }

  /**
   * Takes a deserted object out of memory. The runtime keeps the TCP connection of a socket that never
   * sent anything, and that the hub closed, until the object leaves memory (workerd 1.20261117): the
   * clients, which wait for its end, would report the close ten seconds late.
   */
  resetIfDeserted(): void {
    if (!this.#isDeserted) return;
    const { publishers } = this.#parts.members;
    const rememberMs = Math.min(publishers.msUntilForgotten(Date.now()), MAX_REMEMBER_MS);
    setTimeout(() => void this.#reset(), rememberMs);
  }

  #read(
    member: SubscriberMember,
    since: Since,
    { maxBacklogBytes }: Policy,
    how: { readonly isBack: boolean },
  ): void {
    const { audience, log } = this.#parts;
    const over = { log: log.past(), reason: log.ended, maxBacklogBytes };
    audience
      .read(member, since, over, how)
      .then(() => this.finish())
      .catch((error: unknown) => this.#parts.onFailure(error));
  }

  async #reset(): Promise<void> {
    const { ctx, keyWatch, members } = this.#parts;
    await ctx.storage.sync();
    await keyWatch.registration.settled();
    if (!this.#isDeserted || members.publishers.msUntilForgotten(Date.now()) > 0) return;
    ctx.abort("The topic has ended");
  }

  /** Whether the topic is over and the last of its sockets gone. */
  get #isDeserted(): boolean {
    const { keyWatch, members, sockets } = this.#parts;
    const count = members.size + sockets.closing;
    return this.#parts.isVacant() && count === 0 && !keyWatch.isJoining;
  }

  /** Nothing is stored of a vacant topic, but what those who wait on it need. */
  #deleteAll(): void {
    const { address, alarm, ctx, finished, keyWatch, members } = this.#parts;
    alarm.clear();
    const { registration } = keyWatch;
    const { isIncomplete } = registration;
    void ctx.storage.deleteAll();
    finished.store({ isEmptied: true });
    if (members.size === 0) return;
    if (!members.grants.isEmpty) address.store();
    if (!isIncomplete) return;
    registration.isIncomplete = true;
    keyWatch.completeRegistration();
  }
}

/** In whole steps, so that many who ask set one alarm. */
function nextLookMs(): number {
  return Math.ceil(Date.now() / LOOK_MS + 1) * LOOK_MS;
}
