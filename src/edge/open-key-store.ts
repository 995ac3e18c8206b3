/**
 * Opens the key store that the environment names, one for the life of the isolate: its caches are worth
 * nothing otherwise. They hold answers of the store alone, nothing of any request.
 */
import { parseConfig } from "../core/config.ts";
import type { Problem } from "../core/problem.ts";
import { err, ok, type Result } from "../core/result.ts";
import { logError } from "../log.ts";
import { CachedKeyStore } from "./cached-key-store.ts";
import type { Unavailable, Unreadable } from "./key-store.ts";
import { neonKeyStore } from "./neon-key-store.ts";

const stores: Map<string, CachedKeyStore> = new Map();

/** Says what is missing to whoever asks: until it is repaired that is whoever set the hub up. */
export function openKeyStore(env: Env): Result<CachedKeyStore, Problem> {
  const config = parseConfig(env);
  if (!config.ok) {
    const detail = config.error.join("; ");
    logError({ event: "configuration-invalid", faults: detail });
    return err({ slug: "key-store-unavailable", detail });
  }
  const { database } = config.value;
  let store = stores.get(database.url);
  if (store === undefined) {
    store = new CachedKeyStore(neonKeyStore(database));
    stores.set(database.url, store);
  }
  return ok(store);
}

/** Whether a store that is open knew a domain within the hour; asks nobody. */
export function knowsDomain(env: Env, domain: string): boolean {
  const config = parseConfig(env);
  return config.ok && stores.get(config.value.database.url)?.knewDomain(domain) === true;
}

/** The problem of a store that did not answer, or answered nonsense; logs why. */
export function keyStoreUnavailable({ reason }: Unavailable | Unreadable): Problem {
  logError({ event: "key-store-unavailable", reason });
  return {
    slug: "key-store-unavailable",
    detail: "The credential could not be checked, which says nothing about it: try again",
  };
}
