/**
 * How fast one publisher may send: a token bucket of one second's worth, which a large publish may leave in
 * debt. It is known by the time at which it is full. What it holds need not outlive hibernation, which takes
 * longer than a second; a debt must. Knows no clock.
 */

/** A bucket fills within so long. */
const FILL_MS = 1000;
/** Parts of a message that are an error of rounding. */
const ROUNDING = 1e-6;

/**
 * Messages that a publisher may send in vain before it is closed: a client that pipelines learns late. Each
 * that is taken makes up for one, so that only who sends more than twice its rate, for long, is closed.
 */
const MAX_IN_VAIN = 1000;

/** What becomes of messages. */
export type RateVerdict =
  | { readonly type: "within" }
  /** They are not to be published; they would be after so many seconds. */
  | { readonly type: "over"; readonly retryAfterSeconds: number }
  /** It was told often enough. */
  | { readonly type: "ignored" };

/** The rate of one publisher. */
export class MessageRate {
  /** When it is full; in the past if it is. */
  #fullAtMs: number;
  /** When it was last asked, and for which rate. */
  #atMs = 0;
  #perSecond: number | null = null;
  #inVain = 0;

  constructor(fullAtMs: number | null = null) {
    this.#fullAtMs = fullAtMs ?? 0;
  }

  /** When it is full, or was. */
  get fullAtMs(): number {
    return this.#fullAtMs;
  }

  /** Whether more was sent than a second's worth. */
  isInDebt(nowMs: number): boolean {
    return this.#fullAtMs - nowMs > FILL_MS;
  }

  /** Whether not even one message would be taken. */
  isEmpty(perSecond: number, nowMs: number): boolean {
    return this.#level(perSecond, nowMs) < 1;
  }

  /**
   * Asks for so many messages. More than a second's worth at once pass when the bucket is full, and are paid
   * for afterwards.
   */
  take(count: number, perSecond: number, nowMs: number): RateVerdict {
    const level = this.#level(perSecond, nowMs);
    const needed = Math.min(count, perSecond);
    if (level >= needed) {
      this.#fullAtMs = Math.max(nowMs, this.#fullAtMs) + (count / perSecond) * FILL_MS;
      this.#inVain = Math.max(0, this.#inVain - count);
      return { type: "within" };
    }
    this.#inVain += count;
    if (this.#inVain > MAX_IN_VAIN) return { type: "ignored" };
    return { type: "over", retryAfterSeconds: Math.ceil((needed - level) / perSecond) };
  }

  /** Goes on for another socket, which has been told nothing yet. */
  handOver(): void {
    this.#inVain = 0;
  }

  /** How many messages it holds now; less than none while it is in debt. */
  #level(perSecond: number, nowMs: number): number {
    // A clock that was set back, and a rate that was changed, make no debt larger.
    if (nowMs < this.#atMs) this.#fullAtMs -= this.#atMs - nowMs;
    const missingMs = this.#fullAtMs - nowMs;
    if (missingMs > 0 && this.#perSecond !== null && this.#perSecond !== perSecond) {
      this.#fullAtMs = nowMs + (missingMs * this.#perSecond) / perSecond;
    }
    this.#atMs = nowMs;
    this.#perSecond = perSecond;
    if (this.#fullAtMs <= nowMs) this.#inVain = 0;
    const missing = Math.max(0, this.#fullAtMs - nowMs) / FILL_MS;
    return perSecond * (1 - missing) + ROUNDING;
  }
}
