/**
 * Remembers answers of the key store for this isolate: fresh for some seconds; for an hour where the store
 * cannot be reached (stale-if-error, RFC 5861, section 4). Bounded in count and age. Invariants: a failure
 * belongs to its entry; what the caller does not want kept replaces what was kept before; what passes takes no place
 * of what is kept.
 */
import QuickLRU from "quick-lru";
import type { Unavailable } from "./key-store.ts";
import { SingleFlight, type KeepAlive } from "./single-flight.ts";

/** How long an answer is given without asking again: part of the minute in which a change must show. */
const FRESH_MS = 15_000;
/** How long it is given while the store fails. */
const STALE_MS = 3_600_000;
/** After a failure the store is left alone for so long, where there is a stale answer to give. */
const PAUSE_MS = 5000;
/** How often one request waits for questions of others that are cut off. */
const MAX_WAITS = 2;
/** How often one request waits for its turn to ask; each time somebody else may be first. */
const MAX_TURNS = 20;
/** Answers; the library keeps up to twice as many. */
const MAX_ANSWERS = 2000;

/** What the store says, or said. */
export interface CachedAnswer<T> {
  readonly value: T;
  /** The store was asked for this very call: not out of memory, nor by a question that was under way before. */
  readonly isFresh: boolean;
}

/** A question of the store's: how it is asked, and by whose request. */
export interface Question<T> {
  readonly name: string;
  /** May say that its query waits in line, and then that it begins. */
  readonly ask: (setWaiting: (isWaiting: boolean) => void) => Promise<T | Unavailable>;
  readonly keepAlive: KeepAlive;
}

/** For an answer that must not be older than its question. */
export interface NotBefore {
  /** What `mark` said. */
  readonly mark: number;
  /** Asked before the store is: 0 for go, milliseconds to wait before that, `null` for never. Counts what it lets go. */
  readonly turn: () => number | null;
}

interface Entry<T> {
  readonly value: T;
  /** The number of its question. */
  readonly number: number;
  /** By this isolate's clock, before the question left. */
  readonly askedAtMs: number;
  /** When the store last failed to answer again. */
  readonly failedAtMs: number;
}

/** A cache of answers of one kind. */
export class AnswerCache<T extends { readonly type: string }> {
  readonly #entries: QuickLRU<string, Entry<T>> = new QuickLRU({ maxSize: MAX_ANSWERS });
  readonly #questions: SingleFlight<T | Unavailable> = new SingleFlight();
  /** What is given while it is fresh, and never when it is stale. */
  readonly #passing: QuickLRU<string, Entry<T>> = new QuickLRU({ maxSize: MAX_ANSWERS });
  readonly #isKept: (value: T) => boolean;
  readonly #isPassing: (value: T) => boolean;

  /** `isKept`: whether an answer may be given again; `isPassing`: whether one that is not kept may for some seconds. */
  constructor(
    isKept: (value: T) => boolean,
    isPassing: (value: T) => boolean = (): boolean => false,
  ) {
    this.#isKept = isKept;
    this.#isPassing = isPassing;
  }

  /** Answers out of memory where that is fresh, else asks, else makes do with what is stale. */
  async get(question: Question<T>): Promise<CachedAnswer<T | Unavailable>> {
    const known = this.#recallFresh(question.name) ?? this.#makeDo(question.name);
    if (known !== null) return { value: known.value, isFresh: false };
    const asked = await this.#share(question);
    if (!isUnavailable(asked.value)) return asked;
    // Not what was stale before: it may have been forgotten, or have become better meanwhile.
    const stale = this.#recall(question.name, STALE_MS);
    return stale === null ? asked : { value: stale.value, isFresh: false };
  }

  /** Asks, whatever is known or under way. */
  async askAnew(question: Question<T>): Promise<CachedAnswer<T | Unavailable>> {
    return { value: await this.#ask(question), isFresh: true };
  }

  /** Answers with what is good enough: out of memory where that is fresh, else asks; never with what is stale. */
  async getSuch(
    question: Question<T>,
    isGoodEnough: (value: T) => boolean,
  ): Promise<CachedAnswer<T | Unavailable>> {
    const fresh = this.#recall(question.name, FRESH_MS);
    if (fresh !== null && isGoodEnough(fresh.value)) return { value: fresh.value, isFresh: false };
    const asked = await this.#share(question);
    const isDone = asked.isFresh || isUnavailable(asked.value) || isGoodEnough(asked.value);
    return isDone ? asked : this.askAnew(question);
  }

  /** Stands for now: what is asked from now on is asked since. */
  get mark(): number {
    return this.#questions.begun;
  }

  /** Answers with what was asked since a mark, by whomever; `null` where it must not ask. Never with what is stale. */
  async getSince(
    question: Question<T>,
    { mark, turn }: NotBefore,
  ): Promise<CachedAnswer<T | Unavailable> | null> {
    const { name } = question;
    for (let tries = 0; tries < MAX_TURNS; tries += 1) {
      const known = this.#entries.peek(name);
      if (known !== undefined && known.number > mark) return { value: known.value, isFresh: true };
      const joined = this.#questions.join(name, mark);
      if (joined !== null) {
        const value = await joined;
        if (value !== "lost") return { value, isFresh: true };
        continue;
      }
      if (this.#makeDo(name) !== null) return { value: NOT_AGAIN, isFresh: false };
      const waitMs = turn();
      if (waitMs === null) return null;
      if (waitMs === 0) return this.askAnew(question);
      await new Promise((resolve) => setTimeout(resolve, waitMs));
    }
    return { value: SHARED_WITHOUT_END, isFresh: false };
  }

  /** Whether there is an answer that would be given without asking. */
  has(name: string): boolean {
    return this.#recallFresh(name) !== null;
  }

  /** Whether there is an answer that was kept, be it stale. */
  keeps(name: string): boolean {
    return this.#recall(name, STALE_MS) !== null;
  }

  /** Forgets an answer; one that is under way may be as old, and is not kept either. */
  forget(name: string): void {
    this.#entries.delete(name);
    this.#passing.delete(name);
    this.#questions.letGo(name);
  }

  /** Forgets all such answers; the value is `null` where the answer is under way. */
  forgetWhere(isMeant: (name: string, value: T | null) => boolean): void {
    for (const entries of [this.#entries, this.#passing]) {
      for (const [name, { value }] of entries) {
        if (isMeant(name, value)) entries.delete(name);
      }
    }
    for (const name of this.#questions.names()) {
      if (isMeant(name, null)) this.#questions.letGo(name);
    }
  }

  /** Asks, or waits for who asks already; where that one was cut off, for who asks then. */
  async #share(question: Question<T>): Promise<CachedAnswer<T | Unavailable>> {
    for (let wait = 0; wait < MAX_WAITS; wait += 1) {
      const joined = this.#questions.join(question.name);
      if (joined === null) return this.askAnew(question);
      const value = await joined;
      if (value !== "lost") return { value, isFresh: false };
    }
    return { value: SHARED_WITHOUT_END, isFresh: false };
  }

  #ask({ name, ask, keepAlive }: Question<T>): Promise<T | Unavailable> {
    const askedAtMs = Date.now();
    const land = (value: T | Unavailable, number: number): void => {
      if (isUnavailable(value)) {
        const known = this.#entries.peek(name);
        if (known !== undefined) this.#entries.set(name, { ...known, failedAtMs: Date.now() });
        return;
      }
      const entry = { value, number, askedAtMs, failedAtMs: -Infinity };
      const isKept = this.#isKept(value);
      if (isKept) this.#entries.set(name, entry);
      else this.#entries.delete(name);
      if (!isKept && this.#isPassing(value)) this.#passing.set(name, entry);
      else this.#passing.delete(name);
    };
    return this.#questions.begin(name, ask, { keepAlive, land });
  }

  #recallFresh(name: string): Entry<T> | null {
    const known = this.#recall(name, FRESH_MS);
    if (known !== null) return known;
    const passing = this.#passing.get(name);
    return passing !== undefined && Date.now() - passing.askedAtMs < FRESH_MS ? passing : null;
  }

  /** What is known and younger than that. */
  #recall(name: string, maxAgeMs: number): Entry<T> | null {
    const known = this.#entries.get(name);
    return known !== undefined && Date.now() - known.askedAtMs < maxAgeMs ? known : null;
  }

  /** What is stale, while the store is left alone. */
  #makeDo(name: string): Entry<T> | null {
    const stale = this.#recall(name, STALE_MS);
    return stale !== null && Date.now() - stale.failedAtMs < PAUSE_MS ? stale : null;
  }
}

const SHARED_WITHOUT_END: Unavailable = {
  type: "unavailable",
  reason: "Shared queries did not end",
};
const NOT_AGAIN: Unavailable = { type: "unavailable", reason: "The store failed a moment ago" };

function isUnavailable(value: { readonly type: string }): value is Unavailable {
  return value.type === "unavailable";
}
