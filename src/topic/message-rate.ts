/**
 * How fast one publisher may send: a token bucket of one second's worth. It need not outlive hibernation,
 * which takes longer than the bucket does to fill. Knows no clock.
 */

/** Messages that a publisher may send in vain before it is closed: a client that pipelines learns late. */
const MAX_REFUSED = 1000;

/** What becomes of messages. */
export type RateVerdict =
  | { readonly type: "within" }
  /** They are not to be published; they would be after so many seconds. */
  | { readonly type: "over"; readonly retryAfterSeconds: number }
  /** It was told often enough. */
  | { readonly type: "ignored" };

/** The rate of one publisher. */
export class MessageRate {
  #level: number | null = null;
  #atMs = 0;
  #refused = 0;

  /**
   * Asks for so many messages. More than a second's worth at once pass when the bucket is full, and are paid
   * for afterwards.
   */
  take(count: number, perSecond: number, nowMs: number): RateVerdict {
    const grownMs = Math.max(0, nowMs - this.#atMs);
    const level = Math.min(perSecond, (this.#level ?? perSecond) + (grownMs / 1000) * perSecond);
    this.#atMs = nowMs;
    this.#level = level;
    if (level === perSecond) this.#refused = 0;
    const needed = Math.min(count, perSecond);
    if (level >= needed) {
      this.#level = level - count;
      return { type: "within" };
    }
    this.#refused += count;
    if (this.#refused > MAX_REFUSED) return { type: "ignored" };
    return { type: "over", retryAfterSeconds: Math.ceil((needed - level) / perSecond) };
  }
}
