/**
 * Tells objects of a domain's changes: each one that a change concerns, in the order of the register, many at a time.
 * An object that cannot be reached is written down and told again. Where one event may not make more calls, an alarm
 * goes on from there. What an object answers keeps the register lean.
 */
import type { Change, Heard, Told } from "../core/change.ts";
import { logError } from "../log.ts";
import type { Changes, Pending } from "./changes.ts";
import { keyOfRow, type Concerned, type Register, type Registered } from "./register.ts";
import type { TopicStubs } from "./topic-stubs.ts";

/** Objects that are told at the same time. */
const CALLS_AT_ONCE = 1000;
/** What is told again waits as long as it has been pending, within these bounds. */
const LEAST_RETRY_MS = 5000;
const MOST_RETRY_MS = 300_000;

/** When something that has failed since a time is to be tried again. */
export function retryAt(sinceMs: number, nowMs: number): number {
  return nowMs + Math.min(MOST_RETRY_MS, Math.max(LEAST_RETRY_MS, nowMs - sinceMs));
}

/** An object that is to be told. */
type Tellable = (Registered | { readonly row: null; readonly holder: string }) & {
  readonly wasMissed?: true;
};

interface RoundOutcome {
  readonly closed: number;
  readonly told: number;
  readonly missed: number;
  /** The runtime lets this event make no more calls. */
  readonly isSpent: boolean;
}

/** The teller of one domain. */
export class Teller {
  readonly #changes: Changes;
  readonly #register: Register;
  readonly #topics: TopicStubs;
  /** The numbers of changes that are being told. */
  readonly #underWay: Set<number> = new Set();

  constructor(changes: Changes, register: Register, topics: TopicStubs) {
    this.#changes = changes;
    this.#register = register;
    this.#topics = topics;
  }

  /** Tells whoever has not heard of a change; ends early when a newer one takes its place. */
  async tell(change: Change): Promise<Omit<Told, "isHeld">> {
    let [closed, told, missed] = [0, 0, 0];
    const pending = this.#changes.pendingOf(change);
    if (pending === null || this.#underWay.has(change.number)) return { closed, told, missed };
    this.#underWay.add(change.number);
    try {
      for await (const outcome of this.#rounds(pending)) {
        closed += outcome.closed;
        told += outcome.told;
        missed += outcome.missed;
        if (!outcome.isSpent) continue;
        // An alarm goes on from here.
        missed += this.#countRest(change);
        break;
      }
    } finally {
      this.#underWay.delete(change.number);
    }
    if (missed > 0) logError({ event: "topics-unreachable", topics: missed });
    return { closed, told, missed };
  }

  /** First those who were missed before, then the rest of the register. */
  async *#rounds(begun: Pending): AsyncGenerator<RoundOutcome> {
    for (let after = ""; ;) {
      const missed = this.#changes.missed(begun, after, CALLS_AT_ONCE);
      const last = missed.at(-1);
      if (last === undefined) break;
      yield await this.#round(
        begun,
        missed.map((holder) => this.#missedRow(begun, holder)),
      );
      after = last;
    }
    for (let pending = begun; pending.after !== null;) {
      const change = this.#changes.find(pending);
      if (change === null) return;
      const page = this.#register.page(concernedBy(change), pending.after, CALLS_AT_ONCE);
      const last = page.at(-1);
      if (last === undefined) {
        pending = this.#changes.proceed(pending, null);
        break;
      }
      const outcome = await this.#round(pending, page);
      // Those for whom there was no call left are missed: they come first next time.
      if (this.#changes.find(pending) === null) return;
      pending = this.#changes.proceed(pending, last.row);
      yield outcome;
    }
    if (this.#changes.missed(begun, "", 1).length === 0) this.#changes.settle(begun);
  }

  /** How many there are of whom none was called yet. */
  #countRest(change: Change): number {
    const after = this.#changes.pendingOf(change)?.after ?? null;
    let count = 0;
    for (let row = after; row !== null;) {
      const page = this.#register.page(concernedBy(change), row, CALLS_AT_ONCE);
      count += page.length;
      row = page.at(-1)?.row ?? null;
    }
    return count;
  }

  #missedRow({ keyId }: Pending, holder: string): Tellable {
    const row = this.#register.find(keyId === null ? "live topics" : { keyId }, holder);
    // What is not in the register any more may still have sockets: it is told all the same.
    return { ...(row ?? { row: null, holder }), wasMissed: true };
  }

  async #round(pending: Pending, rows: readonly Tellable[]): Promise<RoundOutcome> {
    let [closed, told, missed] = [0, 0, 0];
    let isSpent = false;
    await Promise.all(
      rows.map(async (row) => {
        // What it was when the round began may have been replaced by now.
        const change = this.#changes.find(pending);
        if (change === null) return;
        try {
          const heard = await this.#topics.tell(row.holder, change);
          closed += heard.closed;
          told += 1;
          if (row.wasMissed === true) this.#changes.reach(pending, row.holder);
          this.#tidy(row, heard);
        } catch (error) {
          // The object is out of reach, overloaded, was reset, or is of a version that does not know such changes.
          missed += 1;
          if (this.#changes.find(pending) !== null) this.#changes.miss(pending, row.holder);
          isSpent ||= isSubrequestLimit(error);
        }
      }),
    );
    return { closed, told, missed, isSpent };
  }

  /** Strikes what an object has no use for any more. */
  #tidy(row: Tellable, { isLive, holdsKey }: Heard): void {
    if (row.row === null) return;
    const keyId = keyOfRow(row.row);
    if (keyId === null) {
      // Of any key, so not to be struck for the sake of one.
      if (!isLive) this.#register.strikeBefore(row.holder);
    } else if (keyId === undefined ? !isLive : !holdsKey) {
      this.#register.strike(row);
    }
  }
}

function concernedBy(change: Change): Concerned {
  return change.type === "key" ? { keyId: change.keyId } : "live topics";
}

/** "Too many subrequests …": what the runtime throws when an event has used up its calls (platform limits). */
function isSubrequestLimit(error: unknown): boolean {
  return error instanceof Error && /too many subrequests/i.test(error.message);
}
