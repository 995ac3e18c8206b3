/**
 * RowPace: when a durable log's next row is due. Rows cost money, so on average they follow each other by the delay that
 * the policy lets a message wait. A row that comes late gives the next one a start, of half a delay at most.
 * Knows neither messages nor timers. Invariant: whatever the clock does, nobody is told to wait longer than the delay.
 */

/** The pace of one log's rows. */
export class RowPace {
  /** When the newest row was due at the latest: a delay before the next one. */
  #atMs = 0;

  /** Milliseconds until the next row is due by a delay; 0: it is. */
  untilDueMs(nowMs: number, delayMs: number): number {
    return Math.min(Math.max(0, this.#atMs + delayMs - nowMs), delayMs);
  }

  /** A row was written. */
  wrote(nowMs: number, delayMs: number): void {
    // Rows that are full come before they are due, and make nobody wait for it later.
    this.#atMs = Math.min(Math.max(this.#atMs + delayMs, nowMs - delayMs / 2), nowMs);
  }
}
