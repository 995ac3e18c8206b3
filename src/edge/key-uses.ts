/**
 * Which keys were used today, noted in the key store for people to see, to about a day. Nothing waits for it and
 * nothing depends on it. Invariant: a key is noted once a day and isolate, one query is under way at a time, and
 * a store that does not take notes is left alone.
 */
import QuickLRU from "quick-lru";
import { logError } from "../log.ts";
import type { KeyStore } from "./key-store.ts";
import type { KeepAlive } from "./single-flight.ts";

const DAY_MS = 86_400_000;
/** The store may have no such column yet, or take no writes: then it is not asked once a key. */
const PAUSE_MS = 3_600_000;
/** More than a query may take. A request that was cut off takes its query along. */
const PATIENCE_MS = 10_000;
/** Queries of one request, which may make only so many; what waits then is the next one's. */
const MAX_QUERIES = 5;
/** Keys; the library keeps up to twice as many. One that is forgotten is noted again. */
const MAX_KEYS = 10_000;

/** The uses of keys, as far as this isolate sees them. */
export class KeyUses {
  readonly #store: Pick<KeyStore, "noteUses">;
  /** On which day each key was noted last. */
  readonly #noted: QuickLRU<number, number> = new QuickLRU({ maxSize: MAX_KEYS });
  /** To be noted by the next query. */
  readonly #waiting: Set<number> = new Set();
  #askedAtMs = -Infinity;
  #failedAtMs = -Infinity;
  #isFailureSaid = false;

  constructor(store: Pick<KeyStore, "noteUses">) {
    this.#store = store;
  }

  /** Notes keys that open something; returns at once and never fails. */
  note(keyIds: readonly number[], keepAlive: KeepAlive): void {
    const nowMs = Date.now();
    if (nowMs - this.#failedAtMs < PAUSE_MS) return;
    for (const keyId of keyIds) {
      if (this.#noted.get(keyId) === dayOf(nowMs)) continue;
      this.#noted.set(keyId, dayOf(nowMs));
      this.#waiting.add(keyId);
    }
    const isUnderWay = nowMs - this.#askedAtMs < PATIENCE_MS;
    if (this.#waiting.size > 0 && !isUnderWay) keepAlive(this.#work());
  }

  /** Notes what waits, and what comes meanwhile. */
  async #work(): Promise<void> {
    for (let query = 0; query < MAX_QUERIES && this.#waiting.size > 0; query += 1) {
      const keyIds = [...this.#waiting];
      this.#waiting.clear();
      this.#askedAtMs = Date.now();
      const noted = await this.#store.noteUses(keyIds);
      if (noted.type !== "done") this.#fail(noted.reason, keyIds);
    }
    this.#askedAtMs = -Infinity;
  }

  #fail(reason: string, keyIds: readonly number[]): void {
    this.#failedAtMs = Date.now();
    for (const keyId of [...keyIds, ...this.#waiting]) this.#noted.delete(keyId);
    this.#waiting.clear();
    if (!this.#isFailureSaid) logError({ event: "key-uses-not-noted", reason });
    this.#isFailureSaid = true;
  }
}

function dayOf(ms: number): number {
  return Math.floor(ms / DAY_MS);
}
