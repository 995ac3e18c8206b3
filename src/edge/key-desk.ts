/**
 * Where objects learn what became of keys, and have them revoked: they know no SQL, so they ask the edge, over
 * a binding that no client can reach (`ctx.exports`). Tells the domain of a key that somebody switched off
 * by hand, so that no cache lets it in again.
 */
import { WorkerEntrypoint } from "cloudflare:workers";
import type { LookUp } from "../core/change.ts";
import { logError } from "../log.ts";
import { domainStub } from "../stubs.ts";
import type { CachedKeyStore } from "./cached-key-store.ts";
import { reportDeadKey } from "./domain-calls.ts";
import { standingOf } from "./key-store.ts";
import { keyStoreUnavailable, openKeyStore } from "./open-key-store.ts";

/** The answer to a topic of the version before. */
export interface Standings extends Pick<LookUp, "standings"> {
  readonly checkedAtMs: number;
}

/** The desk. */
export class KeyDesk extends WorkerEntrypoint<Env> {
  /**
   * What became of keys and of their domain, later than at a time of the key store's, `null`: of late. `null` while
   * the store does not answer, which says nothing about them.
   */
  async lookUp(
    domain: string,
    keyIds: readonly number[],
    newerThanMs: number | null,
  ): Promise<LookUp | null> {
    const store = this.#openStore();
    if (store === null) return null;
    const keepAlive = (work: Promise<unknown>): void => this.ctx.waitUntil(work);
    const found = await store.findKeys(domain, keyIds, { keepAlive, newerThanMs });
    if (found.type !== "found") {
      keyStoreUnavailable(found);
      return null;
    }
    const standings = keyIds.map((keyId) => {
      const record = found.keys.find((key) => key.keyId === keyId);
      return { keyId, standing: standingOf(record ?? null) };
    });
    for (const { keyId, standing } of standings) {
      if (standing.type === "dead") this.ctx.waitUntil(this.#report(domain, keyId, found.atMs));
    }
    const inUse = standings.filter(({ standing }) => standing.type === "live");
    store.noteUses(
      inUse.map(({ keyId }) => keyId),
      keepAlive,
    );
    return { atMs: found.atMs, standings, policy: found.policy };
  }

  /** The same for a topic of the version before. */
  async standings(domain: string, keyIds: readonly number[]): Promise<Standings | null> {
    const found = await this.lookUp(domain, keyIds, null);
    return found === null ? null : { checkedAtMs: found.atMs, standings: found.standings };
  }

  /** Has a key revoked for good; `null` while the store does not answer. */
  async revoke(
    domain: string,
    keyId: number,
  ): Promise<{ readonly atMs: number; readonly isKnown: boolean } | null> {
    const store = this.#openStore();
    if (store === null) return null;
    const revoked = await store.revokeKey(domain, keyId);
    store.forgetKey(domain, keyId);
    if (revoked.type === "done") return { atMs: revoked.atMs, isKnown: revoked.key !== null };
    keyStoreUnavailable(revoked);
    return null;
  }

  #openStore(): CachedKeyStore | null {
    const store = openKeyStore(this.env);
    return store.ok ? store.value : null;
  }

  async #report(domain: string, keyId: number, atMs: number): Promise<void> {
    try {
      await reportDeadKey(() => domainStub(this.env, domain), keyId, atMs);
    } catch (error) {
      // The domain is out of reach, overloaded or was reset; the next look at the key reports it again.
      logError({ event: "domain-unreachable", error: String(error) });
    }
  }
}
