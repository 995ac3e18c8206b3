/**
 * The key store behind this isolate's memory. A key that opens nothing is asked for every time, so that a
 * new one works at once; what opens is remembered, by hash. Invariant: what was changed by this isolate, or
 * what it was told of, is forgotten here.
 */
import { Allowance } from "./allowance.ts";
import QuickLRU from "quick-lru";
import { AnswerCache, type CachedAnswer, type Question } from "./answer-cache.ts";
import type {
  DomainLookup,
  KeyCheck,
  KeysLookup,
  KeyStore,
  Probe,
  Revoked,
  Unavailable,
} from "./key-store.ts";
import { QueryQueue } from "./query-queue.ts";
import { KeyUses } from "./key-uses.ts";
import type { KeepAlive } from "./single-flight.ts";

type Granted = Extract<KeyCheck, { type: "granted" }>;
type Found = Extract<DomainLookup, { type: "found" }>;

/** How long a key counts as a good one after it has opened something. */
const GOOD_MS = 3_600_000;
/** Keys that are remembered as good; the library keeps up to twice as many. */
const MAX_GOOD_KEYS = 10_000;

/** How to ask. */
export interface Asking {
  readonly keepAlive: KeepAlive;
  /** The store itself must say so, now: what is remembered, or under way, may be outdated. */
  readonly isAnew: boolean;
}

/** How to ask for what must be newer than something. */
export interface AskingSince {
  /** What `domainsMark` said. */
  readonly mark: number;
  readonly keepAlive: KeepAlive;
  /** Whether this call may be the one that asks; and it is told when it is. */
  readonly mayAsk: () => boolean;
  readonly onAsk: () => void;
}

/** What is said of a key that somebody presents, and whether the store was asked for this very call. */
export type CachedKeyCheck = (Granted & { readonly isFresh: boolean }) | Exclude<KeyCheck, Granted>;

/** The same of a domain. */
export type CachedDomainLookup =
  | (Found & { readonly isFresh: boolean })
  | Exclude<DomainLookup, Found>;

/** A key store that remembers. */
export class CachedKeyStore {
  readonly #store: KeyStore;
  /** For what anybody can cause; what an operator asks does not stand in line. */
  readonly #queue: QueryQueue = new QueryQueue();
  readonly #uses: KeyUses;
  readonly #checks: AnswerCache<Exclude<KeyCheck, Unavailable>> = new AnswerCache(
    ({ type }) => type === "granted",
  );
  readonly #domains: AnswerCache<Exclude<DomainLookup, Unavailable>> = new AnswerCache(
    (value) => value.type === "found" && value.isKnown,
    ({ type }) => type === "found",
  );
  readonly #keys: AnswerCache<Exclude<KeysLookup, Unavailable>> = new AnswerCache(
    (value) => value.type === "found" && value.policy !== null,
  );

  /** Keeps nothing: questions of the same time share an answer, no more. */
  readonly #probes: AnswerCache<Exclude<Probe, Unavailable>> = new AnswerCache(() => false);

  /** When a key last opened something, by its name. Not forgotten with its grant: it may only be asked for again. */
  readonly #goodAtMs: QuickLRU<string, number> = new QuickLRU({ maxSize: MAX_GOOD_KEYS });
  /** How often a domain is read past what is remembered. A question in between waits, and shares the next answer. */
  readonly #rereads: Allowance = new Allowance({ atOnce: 5, everyMs: 200 });

  constructor(store: KeyStore) {
    this.#store = store;
    this.#uses = new KeyUses(store);
  }

  /** Checks a key by its hash. */
  async checkKey(keyHash: string, domain: string, asking: Asking): Promise<CachedKeyCheck> {
    const question = {
      name: keyName(keyHash, domain),
      ask: (setWaiting: (isWaiting: boolean) => void) =>
        this.#queue.run(() => this.#store.checkKey(keyHash, domain), setWaiting),
      keepAlive: asking.keepAlive,
    };
    const answer = await answerTo(this.#checks, question, asking);
    // Its end may have been put off meanwhile.
    const isOver = !answer.isFresh && hasExpired(answer.value);
    const { value, isFresh } = isOver ? await this.#checks.askAnew(question) : answer;
    if (value.type === "granted") {
      this.#goodAtMs.set(question.name, Date.now());
      return { ...value, isFresh };
    }
    if (value.type === "denied") this.#goodAtMs.delete(question.name);
    return value;
  }

  /** Whether a key has opened something here within the hour. */
  wasGood(keyHash: string, domain: string): boolean {
    return Date.now() - (this.#goodAtMs.peek(keyName(keyHash, domain)) ?? -Infinity) < GOOD_MS;
  }

  /** Whether a key would be granted without asking. */
  knowsKey(keyHash: string, domain: string): boolean {
    return this.#checks.has(keyName(keyHash, domain));
  }

  /** Whether a domain would be found, or found unknown, without asking. */
  remembersDomain(domain: string): boolean {
    return this.#domains.has(domain);
  }

  /** Whether a domain was known within the hour. */
  knewDomain(domain: string): boolean {
    return this.#domains.keeps(domain);
  }

  /** Finds what a domain allows. */
  async findDomain(domain: string, asking: Asking): Promise<CachedDomainLookup> {
    const question = this.#domainQuestion(domain, asking.keepAlive);
    return dated(await answerTo(this.#domains, question, asking));
  }

  /** Stands for now, for `findDomainSince`. */
  get domainsMark(): number {
    return this.#domains.mark;
  }

  /** Finds what a domain allows, by a question that was asked since a mark; `null` where it may not ask. */
  async findDomainSince(
    domain: string,
    { mark, keepAlive, mayAsk, onAsk }: AskingSince,
  ): Promise<CachedDomainLookup | null> {
    const turn = (): number | null => {
      if (!mayAsk()) return null;
      const waitMs = this.#rereads.waitMs(domain);
      if (waitMs > 0) return waitMs;
      this.#rereads.take(domain);
      onAsk();
      return 0;
    };
    const question = this.#domainQuestion(domain, keepAlive);
    const answer = await this.#domains.getSince(question, { mark, turn });
    return answer === null ? null : dated(answer);
  }

  /** Finds what became of keys that are in use, later than at a time of the store's; `null`: of late. */
  async findKeys(
    domain: string,
    keyIds: readonly number[],
    {
      keepAlive,
      newerThanMs,
    }: { readonly keepAlive: KeepAlive; readonly newerThanMs: number | null },
  ): Promise<KeysLookup> {
    const question = {
      name: `${keyIds.join(",")} ${domain}`,
      ask: (setWaiting: (isWaiting: boolean) => void) =>
        this.#queue.run(() => this.#store.findKeys(domain, keyIds), setWaiting),
      keepAlive,
    };
    const { value } = await this.#keys.getSuch(
      question,
      (known) => newerThanMs === null || known.type !== "found" || known.atMs > newerThanMs,
    );
    return value;
  }

  /** Asks whether the store could answer: one question at a time, however many want to know. */
  async probe(keepAlive: KeepAlive): Promise<Probe> {
    const question = { name: "probe", ask: () => this.#store.probe(), keepAlive };
    return (await this.#probes.get(question)).value;
  }

  /** Reads a domain anew. */
  readDomain(domain: string): Promise<DomainLookup> {
    return this.#store.findDomain(domain);
  }

  /** Reads a key anew. */
  readKey(domain: string, keyId: number): Promise<KeysLookup> {
    return this.#store.findKeys(domain, [keyId]);
  }

  /** Revokes a key for good. */
  revokeKey(domain: string, keyId: number): Promise<Revoked> {
    return this.#store.revokeKey(domain, keyId);
  }

  /** Notes that keys are in use, beside whatever is answered. */
  noteUses(keyIds: readonly number[], keepAlive: KeepAlive): void {
    this.#uses.note(keyIds, keepAlive);
  }

  /** Forgets what it knows of a key, so that whoever needs it next asks. */
  forgetKey(domain: string, keyId: number): void {
    // Which key an answer is about that is under way is not known yet.
    this.#checks.forgetWhere(
      (name, value) =>
        isOf(name, domain) &&
        (value === null || (value.type === "granted" && value.keyId === keyId)),
    );
    this.#keys.forgetWhere(
      (name) => isOf(name, domain) && name.split(" ", 1).join().split(",").includes(String(keyId)),
    );
  }

  #domainQuestion(
    domain: string,
    keepAlive: KeepAlive,
  ): Question<Exclude<DomainLookup, Unavailable>> {
    return {
      name: domain,
      ask: (setWaiting) => this.#queue.run(() => this.#store.findDomain(domain), setWaiting),
      keepAlive,
    };
  }

  /** Forgets all that it knows of a domain and of its keys. */
  forgetDomain(domain: string): void {
    this.#domains.forget(domain);
    this.#checks.forgetWhere((name) => isOf(name, domain));
    this.#keys.forgetWhere((name) => isOf(name, domain));
  }
}

function dated({ value, isFresh }: CachedAnswer<DomainLookup>): CachedDomainLookup {
  return value.type === "found" ? { ...value, isFresh } : value;
}

function answerTo<T extends { readonly type: string }>(
  cache: AnswerCache<T>,
  question: Question<T>,
  { isAnew }: Asking,
): Promise<CachedAnswer<T | Unavailable>> {
  return isAnew ? cache.askAnew(question) : cache.get(question);
}

function keyName(keyHash: string, domain: string): string {
  return `${keyHash} ${domain}`;
}

/** Whether a name's answer is of a domain: what precedes the first space has none. */
function isOf(name: string, domain: string): boolean {
  return name.slice(name.indexOf(" ") + 1) === domain;
}

function hasExpired(value: Exclude<KeyCheck, Unavailable> | Unavailable): boolean {
  return value.type === "granted" && value.expiresAtMs !== null && value.expiresAtMs <= Date.now();
}
