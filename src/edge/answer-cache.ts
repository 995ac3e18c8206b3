/**
 * Remembers answers of the key store for this isolate: fresh for some seconds; for an hour where the store
 * cannot be reached (stale-if-error, RFC 5861, section 4). Who asks the same at the same time shares one
 * query. Bounded in count and age. "Unavailable" is no answer and never kept.
 */
import QuickLRU from "quick-lru";
import type { Unavailable } from "./key-store.ts";

/** How long an answer is given without asking again: part of the minute in which a change must show. */
const FRESH_MS = 15_000;
/** How long it is given while the store fails. */
const STALE_MS = 3_600_000;
/** After a failure the store is left alone for so long, where there is a stale answer to give. */
const PAUSE_MS = 5000;
/** More than a query may take. Who shares a query of a request that was cut off would wait for ever. */
const PATIENCE_MS = 3000;
/** Answers; the library keeps up to twice as many. */
const MAX_ANSWERS = 2000;

/** An answer, and when the store was asked for it. */
export interface Answer<T> {
  readonly type: "answer";
  readonly value: T;
  /** Before the question left: what was changed later may not show. Milliseconds since the epoch. */
  readonly atMs: number;
}

/** Lets work outlive the request that began it, as `ctx.waitUntil` does. */
export type KeepAlive = (work: Promise<unknown>) => void;

type Asked<T> = Answer<T> | Unavailable;

/** A cache of answers of one kind. */
export class AnswerCache<T extends { readonly type: string }> {
  readonly #answers: QuickLRU<string, Answer<T>> = new QuickLRU({ maxSize: MAX_ANSWERS });
  readonly #underWay: Map<string, Promise<Asked<T>>> = new Map();
  #failedAtMs = -Infinity;

  /** Answers out of memory where that is fresh, else asks, else makes do with what is stale. */
  async get(
    name: string,
    ask: () => Promise<T | Unavailable>,
    keepAlive: KeepAlive,
  ): Promise<Asked<T>> {
    const nowMs = Date.now();
    const known = this.#answers.get(name);
    if (known !== undefined && nowMs - known.atMs < FRESH_MS) return known;
    const stale = known !== undefined && nowMs - known.atMs < STALE_MS ? known : null;
    if (stale !== null && nowMs - this.#failedAtMs < PAUSE_MS) return stale;

    const question = this.#underWay.get(name) ?? this.#ask(name, ask);
    keepAlive(question);
    const asked = await Promise.race([question, outOfPatience()]);
    if (asked.type === "answer") return asked;
    if (this.#underWay.get(name) === question) this.#underWay.delete(name);
    this.#failedAtMs = Date.now();
    return stale ?? asked;
  }

  /** Whether there is an answer that would be given without asking. */
  has(name: string): boolean {
    const known = this.#answers.peek(name);
    return known !== undefined && Date.now() - known.atMs < FRESH_MS;
  }

  /** Forgets an answer; one that is under way may be as old, and is not kept either. */
  delete(name: string): void {
    this.#answers.delete(name);
    this.#underWay.delete(name);
  }

  #ask(name: string, ask: () => Promise<T | Unavailable>): Promise<Asked<T>> {
    const atMs = Date.now();
    const question = ask().then((value): Asked<T> => {
      const isWanted = this.#underWay.get(name) === question;
      if (isWanted) this.#underWay.delete(name);
      if (isUnavailable(value)) return value;
      const answer: Answer<T> = { type: "answer", value, atMs };
      if (isWanted) this.#answers.set(name, answer);
      return answer;
    });
    this.#underWay.set(name, question);
    return question;
  }
}

function isUnavailable(value: { readonly type: string }): value is Unavailable {
  return value.type === "unavailable";
}

async function outOfPatience(): Promise<Unavailable> {
  await scheduler.wait(PATIENCE_MS);
  return { type: "unavailable", reason: "A shared query did not end" };
}
