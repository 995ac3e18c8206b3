/**
 * The key store behind this isolate's memory. A key that opens nothing is asked for every time, so that a
 * new one works at once; what opens is remembered, by hash.
 */
import { AnswerCache, type Answer, type KeepAlive } from "./answer-cache.ts";
import type {
  DomainLookup,
  KeyCheck,
  KeyRecord,
  KeysLookup,
  KeyStore,
  Unavailable,
} from "./key-store.ts";

type Granted = Extract<KeyCheck, { type: "granted" }>;
type Domain = Extract<DomainLookup, { type: "found" }>;
type Keys = Extract<KeysLookup, { type: "found" }>;

/** What the caches say of a key, with the time for which it holds. */
export type CachedKeyCheck =
  | (Granted & { readonly checkedAtMs: number })
  | Exclude<KeyCheck, Granted>;

/** A key store that remembers. */
export class CachedKeyStore {
  readonly #store: KeyStore;
  readonly #granted: AnswerCache<Exclude<KeyCheck, Unavailable>> = new AnswerCache();
  readonly #domains: AnswerCache<Domain> = new AnswerCache();
  readonly #keys: AnswerCache<Keys> = new AnswerCache();

  constructor(store: KeyStore) {
    this.#store = store;
  }

  /** Checks a key by its hash. */
  async checkKey(keyHash: string, domain: string, keepAlive: KeepAlive): Promise<CachedKeyCheck> {
    const name = keyName(keyHash, domain);
    const ask = (): Promise<KeyCheck> => this.#store.checkKey(keyHash, domain);
    let answer = await this.#granted.get(name, ask, keepAlive);
    if (answer.type === "answer" && hasExpired(answer)) {
      // Its end may have been put off meanwhile.
      this.#granted.delete(name);
      answer = await this.#granted.get(name, ask, keepAlive);
    }
    if (answer.type === "unavailable") return answer;
    if (answer.value.type === "granted") return { ...answer.value, checkedAtMs: answer.atMs };
    this.#granted.delete(name);
    return answer.value;
  }

  /** Whether a key would be granted without asking. */
  knowsKey(keyHash: string, domain: string): boolean {
    return this.#granted.has(keyName(keyHash, domain));
  }

  /** Forgets what it knows of a key, so that the next check asks. */
  forgetKey(keyHash: string, domain: string): void {
    this.#granted.delete(keyName(keyHash, domain));
  }

  /** Finds what a domain allows. */
  async findDomain(domain: string, keepAlive: KeepAlive): Promise<DomainLookup> {
    const answer = await this.#domains.get(domain, () => this.#store.findDomain(domain), keepAlive);
    return answer.type === "answer" ? answer.value : answer;
  }

  /** Finds what became of keys that are in use, at most as old as what a connect would be told. */
  async findKeys(
    domain: string,
    keyIds: readonly number[],
    keepAlive: KeepAlive,
  ): Promise<(Keys & { readonly checkedAtMs: number }) | Unavailable> {
    const answer = await this.#keys.get(
      `${keyIds.join(",")} ${domain}`,
      () => this.#store.findKeys(domain, keyIds),
      keepAlive,
    );
    return answer.type === "answer" ? { ...answer.value, checkedAtMs: answer.atMs } : answer;
  }

  /** Reads a key anew; `null` when the domain has none of that number. */
  async readKey(domain: string, keyId: number): Promise<KeyRecord | null | Unavailable> {
    return only(await this.#store.findKeys(domain, [keyId]));
  }

  /** Revokes a key for good; `null` when the domain has none of that number. */
  async revokeKey(domain: string, keyId: number): Promise<KeyRecord | null | Unavailable> {
    return only(await this.#store.revokeKey(domain, keyId));
  }
}

function keyName(keyHash: string, domain: string): string {
  return `${keyHash} ${domain}`;
}

function hasExpired({ value }: Answer<Exclude<KeyCheck, Unavailable>>): boolean {
  return value.type === "granted" && value.expiresAtMs !== null && value.expiresAtMs <= Date.now();
}

function only(lookup: KeysLookup): KeyRecord | null | Unavailable {
  return lookup.type === "unavailable" ? lookup : (lookup.keys[0] ?? null);
}
