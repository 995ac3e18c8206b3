/**
 * What the operator reads of refusals: how many there were of each kind, and a few of them. Knows slugs, domains and
 * countries; no credential, no address and no topic.
 * Invariants: every refusal is counted in one line; however many there are, lines are few.
 */
import type { ProblemSlug } from "../core/problem.ts";
import { logInfo } from "../log.ts";

/** Whom a refusal met. */
export interface Refused {
  readonly slug: ProblemSlug;
  /** As it may be shown; `null` where there is none. */
  readonly domain: string | null;
  readonly country: string | null;
}

/** Less than the 30 s for which the runtime lets work outlive its request (Workers, `waitUntil`). */
const WINDOW_MS = 20_000;
/** Refusals of one slug that are told one by one in a window, so that a flood of one kind hides no other. */
const SAMPLES_OF_SLUG = 3;
/** The same of all slugs. */
const SAMPLES = 20;

/** The refusals of one isolate. */
export class RefusalLog {
  /** When this window began. */
  #sinceMs = -Infinity;
  /** Lines with a single refusal in this window. */
  #samples: Map<ProblemSlug, number> = new Map();
  /** Refusals that no line has told of yet. */
  #untold: Map<ProblemSlug, number> = new Map();
  /** Until when a request sees to it that they are told. */
  #seenToUntilMs = -Infinity;

  /** Counts one, and tells of it while there were few. */
  add({ slug, domain, country }: Refused): void {
    this.#begin(Date.now());
    const samples = this.#samples.get(slug) ?? 0;
    const allSamples = [...this.#samples.values()].reduce((sum, count) => sum + count, 0);
    if (samples < SAMPLES_OF_SLUG && allSamples < SAMPLES) {
      this.#samples.set(slug, samples + 1);
      logInfo({ event: "refused", slug, domain, country, count: 1 });
      return;
    }
    this.#untold.set(slug, (this.#untold.get(slug) ?? 0) + 1);
  }

  /** Has what was not told yet told at the window's end, also when no request comes any more. */
  seeTo(waitUntil: (work: Promise<void>) => void): void {
    const nowMs = Date.now();
    this.#begin(nowMs);
    // A time and no flag: the runtime may drop the work.
    if (this.#untold.size === 0 || nowMs < this.#seenToUntilMs) return;
    const untilMs = this.#sinceMs + WINDOW_MS;
    this.#seenToUntilMs = untilMs;
    waitUntil(this.#tellAfter(untilMs - nowMs));
  }

  async #tellAfter(ms: number): Promise<void> {
    await new Promise((resolve) => void setTimeout(resolve, ms));
    this.#tell();
  }

  /** Begins a new window where the last one is over. */
  #begin(nowMs: number): void {
    if (nowMs - this.#sinceMs < WINDOW_MS) return;
    this.#tell();
    this.#sinceMs = nowMs;
    this.#samples.clear();
  }

  #tell(): void {
    for (const [slug, count] of this.#untold) logInfo({ event: "refused", slug, count });
    this.#untold.clear();
  }
}
