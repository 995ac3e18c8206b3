/**
 * The log of a life that is over, as it was at the end, for those that are still replayed to out of it. What comes
 * after is not seen, be it of the same epoch or of the next. Invariant: its head never moves, unless it is forgotten:
 * then it is where the log began anew, and there is nothing before it.
 */
import { reached } from "../core/coverage-mark.ts";
import type { Cursor } from "../core/cursor.ts";
import type { Batch } from "../delivery/batch.ts";
import type { ReplayedLog } from "../delivery/log-view.ts";
import type { History } from "./history.ts";
import { ReplayReads } from "./replay-reads.ts";

/** The log that went on, as far as it concerns one that is over. */
export interface NextLog extends Pick<ReplayedLog, "head" | "keepBehind"> {
  /** Where it began anew when it last had to forget; another object each time, `null`: it never had to. */
  readonly forgottenAt: Cursor | null;
}

/** The log of a life that is over. */
export class PastLog implements ReplayedLog {
  readonly #log: NextLog;
  #head: Cursor;
  /** `null`: it is forgotten. */
  #history: Pick<History, "first" | "after"> | null;
  #reads: ReplayReads = new ReplayReads();
  /** The last that is known of it. */
  #forgottenAt: Cursor | null;

  /** Ends where a log is now, and reads what that keeps now. */
  constructor(log: NextLog, history: Pick<History, "first" | "after">) {
    this.#log = log;
    this.#history = history;
    this.#head = log.head;
    this.#forgottenAt = log.forgottenAt;
  }

  get head(): Cursor {
    this.#lookIfForgotten();
    return this.#head;
  }

  get gone(): number {
    const { offset } = this.head;
    return Math.min((this.#history?.first ?? offset + 1) - 1, offset);
  }

  read(offset: number): Batch | number | null {
    const { epoch, offset: end } = this.head;
    if (this.#history === null || offset >= end) return null;
    const read = this.#reads.read({ epoch, offset }, this.#history);
    return typeof read === "number" ? Math.min(read, end) : read.upTo(end);
  }

  keepBehind(offset: number, holder: object): void {
    // A log of the next epoch has nothing of this one.
    if (this.#log.head.epoch === this.head.epoch) this.#log.keepBehind(offset, holder);
  }

  /** Before each look at the rest: so nobody keeps a list of what is read. */
  #lookIfForgotten(): void {
    const { forgottenAt } = this.#log;
    if (forgottenAt === null || forgottenAt === this.#forgottenAt) return;
    reached("past-forgotten");
    this.#forgottenAt = forgottenAt;
    this.#head = forgottenAt;
    this.#history = null;
    this.#reads = new ReplayReads();
  }
}
