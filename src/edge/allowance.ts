/**
 * How often something may be done, by name: so many times at once, then one more every so often (a token bucket).
 * Bounded in names. Invariant: no name pays for another.
 */
import QuickLRU from "quick-lru";

/** Names; the library keeps up to twice as many. */
const MAX_NAMES = 10_000;

/** How much is allowed. */
export interface Rate {
  readonly atOnce: number;
  /** Milliseconds until one more is allowed. */
  readonly everyMs: number;
}

/** An allowance for each name. */
export class Allowance {
  readonly #rate: Rate;
  /** When all that is allowed at once is allowed again; a name that is not here has it already. */
  readonly #fullAtMs: QuickLRU<string, number> = new QuickLRU({ maxSize: MAX_NAMES });

  constructor(rate: Rate) {
    this.#rate = rate;
  }

  /** Milliseconds until a name may; 0: now. */
  waitMs(name: string): number {
    const { atOnce, everyMs } = this.#rate;
    const missingMs = (this.#fullAtMs.peek(name) ?? 0) - Date.now();
    return Math.max(0, missingMs - (atOnce - 1) * everyMs);
  }

  /** Counts that a name did. */
  take(name: string): void {
    const fromMs = Math.max(this.#fullAtMs.peek(name) ?? 0, Date.now());
    this.#fullAtMs.set(name, fromMs + this.#rate.everyMs);
  }
}
