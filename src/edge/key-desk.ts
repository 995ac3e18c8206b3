/**
 * Where a topic learns what became of the keys in use on it: objects know no SQL, so they ask the edge, over
 * a binding that no client can reach (`ctx.exports`). Tells the domain of a key that somebody switched off
 * by hand, so that no cache lets it in again.
 */
import { WorkerEntrypoint } from "cloudflare:workers";
import type { KeyStanding } from "../core/grant.ts";
import { keyStoreUnavailable, openKeyStore } from "./open-key-store.ts";

/** What the store says of keys, and for when that holds. */
export interface Standings {
  readonly checkedAtMs: number;
  readonly standings: readonly { readonly keyId: number; readonly standing: KeyStanding }[];
}

/** The desk. */
export class KeyDesk extends WorkerEntrypoint<Env> {
  /** What became of keys; `null` while the store does not answer, which says nothing about them. */
  async standings(domain: string, keyIds: readonly number[]): Promise<Standings | null> {
    const store = openKeyStore(this.env);
    if (!store.ok) return null;
    const found = await store.value.findKeys(domain, keyIds, (work) => this.ctx.waitUntil(work));
    if (found.type === "unavailable") {
      keyStoreUnavailable(found);
      return null;
    }
    const standings = keyIds.map((keyId) => {
      const key = found.keys.find((record) => record.keyId === keyId);
      const standing: KeyStanding =
        key?.state === "live" ? { type: "live", expiresAtMs: key.expiresAtMs } : { type: "dead" };
      return { keyId, standing };
    });
    const object = this.env.DOMAIN.getByName(domain);
    for (const { keyId, standing } of standings) {
      if (standing.type === "live") continue;
      this.ctx.waitUntil(object.reportDead(keyId, found.checkedAtMs));
    }
    return { checkedAtMs: found.checkedAtMs, standings };
  }
}
