/**
 * The log of a life that is over, as it was at the end, for those who are still replayed to out of it. What comes after
 * is not seen, be it of the same epoch or of the next. Invariant: its head never moves.
 */
import type { Cursor } from "../core/cursor.ts";
import type { Batch } from "../delivery/batch.ts";
import type { ReplayedLog } from "../delivery/log-view.ts";
import type { History } from "./history.ts";
import { ReplayReads } from "./replay-reads.ts";

/** The log of a life that is over. */
export class PastLog implements ReplayedLog {
  readonly head: Cursor;
  readonly #log: Pick<ReplayedLog, "head" | "keepBehind">;
  readonly #history: Pick<History, "first" | "after">;
  readonly #reads: ReplayReads = new ReplayReads();

  /** Ends where a log is now, and reads what that keeps now. */
  constructor(
    log: Pick<ReplayedLog, "head" | "keepBehind">,
    history: Pick<History, "first" | "after">,
  ) {
    this.#log = log;
    this.#history = history;
    this.head = log.head;
  }

  get gone(): number {
    const { offset } = this.head;
    return Math.min((this.#history.first ?? offset + 1) - 1, offset);
  }

  read(offset: number): Batch | number | null {
    const end = this.head.offset;
    if (offset >= end) return null;
    const read = this.#reads.read({ epoch: this.head.epoch, offset }, this.#history);
    return typeof read === "number" ? Math.min(read, end) : read.upTo(end);
  }

  keepBehind(offset: number, holder: object): void {
    // A log of the next epoch has nothing of this one.
    if (this.#log.head.epoch === this.head.epoch) this.#log.keepBehind(offset, holder);
  }
}
