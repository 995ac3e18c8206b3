/**
 * Stands in for the key desk (src/edge/key-desk.ts): answers from the model, out of caches of some age where
 * that is allowed, and reports dead keys to the domain. Nothing is answered while the key store is down.
 */
import type { LookUp } from "../../../../src/core/change.ts";
import { answerKeyDesk } from "../../../support-in-workerd/faults.ts";
import type { DomainHandle } from "./domain-handle.ts";
import type { KeyStoreModel } from "./key-store-model.ts";

/** What a desk needs. */
export interface DeskOptions {
  readonly domain: DomainHandle;
  readonly store: KeyStoreModel;
  /** How old its answers are, in turn. */
  readonly agesMs: readonly number[];
  readonly note: (event: string) => void;
}

/** The desk of one domain. */
export class DeskModel {
  /** Dead keys that the domain has been told of, with the key's state. */
  readonly #reported: Map<number, number> = new Map();
  readonly #options: DeskOptions;
  readonly #reports: Promise<void>[] = [];
  #turn = 0;

  constructor(options: DeskOptions) {
    this.#options = options;
    answerKeyDesk(options.domain.stub, {
      lookUp: (_, keyIds, newerThanMs) => this.#lookUp(keyIds, newerThanMs),
      revoke: (_, keyId) => this.#revoke(keyId),
    });
  }

  /** The state of a key that it has reported, -1 for none. */
  reportedOf(keyId: number): number {
    return this.#reported.get(keyId) ?? -1;
  }

  /** Waits for its reports to the domain. */
  async idle(): Promise<void> {
    while (this.#reports.length > 0) await Promise.all(this.#reports.splice(0));
  }

  #lookUp(keyIds: readonly number[], newerThanMs: number | null): LookUp | null {
    const { store, agesMs, note } = this.#options;
    note(`desk: keys ${keyIds.join(",")}, newer than ${newerThanMs}`);
    if (!store.isUp) return null;
    const cachedAtMs = store.nowMs - (agesMs[this.#turn++ % agesMs.length] ?? 0);
    const isGoodEnough = newerThanMs === null || cachedAtMs > newerThanMs;
    const { keys, policy } = isGoodEnough
      ? {
          keys: keyIds.map((keyId) => store.keyAt(keyId, cachedAtMs)),
          policy: store.policyAt(cachedAtMs),
        }
      : store.ask(keyIds);
    const { atMs } = policy;
    const standings = keyIds.map((keyId, nth) => {
      const answer = keys[nth] ?? store.keyAt(keyId, atMs);
      if (answer.standing.type === "dead") {
        this.#reports.push(this.#report(keyId, atMs, answer.index));
      }
      return { keyId, standing: answer.standing };
    });
    note(`desk: ${JSON.stringify(standings)} and policy ${policy.index} at ${atMs}`);
    return { atMs, standings, policy: policy.policy };
  }

  #revoke(keyId: number): { atMs: number; isKnown: boolean } | null {
    const { store, note } = this.#options;
    note(`desk: revoke key ${keyId}, the store is ${store.isUp ? "up" : "down"}`);
    return store.isUp ? { atMs: store.revoke(keyId), isKnown: true } : null;
  }

  async #report(keyId: number, atMs: number, index: number): Promise<void> {
    try {
      await this.#options.domain.stub.reportDeadKey(keyId, atMs);
      this.#reported.set(keyId, Math.max(index, this.reportedOf(keyId)));
    } catch {
      // The domain died: whoever looks the key up next reports it again.
    }
  }
}
