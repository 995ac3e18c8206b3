/** A rate limit that takes so many of each key, and never begins anew: the runtime's does with each minute. */
export class CountingLimit implements RateLimit {
  readonly #counts: Map<string, number> = new Map();
  readonly #most: number;

  constructor(most: number) {
    this.#most = most;
  }

  limit({ key }: RateLimitOptions): Promise<RateLimitOutcome> {
    const count = (this.#counts.get(key) ?? 0) + 1;
    this.#counts.set(key, count);
    return Promise.resolve({ success: count <= this.#most });
  }
}
