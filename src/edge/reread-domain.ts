/**
 * Reads a domain's settings once more, when what is remembered of them makes a token fail: they may have changed a
 * moment ago. Owns how often an address may have that done. Invariant: an address is kept from it by failures of its
 * own, never by those of others.
 */
import { Allowance } from "./allowance.ts";
import type { CachedDomainLookup, CachedKeyStore } from "./cached-key-store.ts";
import type { Caller } from "./caller.ts";

/** More than a user's devices need while a secret is replaced. */
const addresses = new Allowance({ atOnce: 5, everyMs: 6000 });

/** Reads what a domain says, later than a mark of the store's; `null`: this address has asked too much. */
export function rereadDomain(
  { client, keepAlive }: Caller,
  keyStore: CachedKeyStore,
  domain: string,
  mark: number,
): Promise<CachedDomainLookup | null> {
  return keyStore.findDomainSince(domain, {
    mark,
    keepAlive,
    mayAsk: () => addresses.waitMs(client) === 0,
    onAsk: () => addresses.take(client),
  });
}
