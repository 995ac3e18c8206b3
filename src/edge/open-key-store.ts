/**
 * Opens the key store that the environment names, one for the life of the isolate: its caches are worth
 * nothing otherwise. They hold answers of the store alone, nothing of any request.
 */
import { parseConfig } from "../core/config.ts";
import type { Problem } from "../core/problem.ts";
import { err, ok, type Result } from "../core/result.ts";
import { logError } from "../log.ts";
import { CachedKeyStore } from "./cached-key-store.ts";
import type { Sight, Unavailable, Unreadable } from "./key-store.ts";
import { neonKeyStore } from "./neon-key-store.ts";

interface Opened {
  readonly store: CachedKeyStore;
  /** `null` until it was asked anything. */
  sight: Sight | null;
}

const stores: Map<string, Opened> = new Map();
/** The same by the environment itself, which the runtime makes once an isolate: reading it takes as long as a check. */
const storesOf: WeakMap<Env, CachedKeyStore> = new WeakMap();

/** Says what is missing to whoever asks: until it is repaired that is whoever set the hub up. */
export function openKeyStore(env: Env): Result<CachedKeyStore, Problem> {
  const known = storesOf.get(env);
  if (known !== undefined) return ok(known);
  const config = parseConfig(env);
  if (!config.ok) {
    const detail = config.error.join("; ");
    logError({ event: "configuration-invalid", faults: detail });
    return err({ slug: "key-store-unavailable", detail });
  }
  const { database } = config.value;
  let opened = stores.get(database.url);
  if (opened === undefined) {
    const onSight = (sight: Sight): void => void (entry.sight = sight);
    const entry: Opened = {
      store: new CachedKeyStore(neonKeyStore(database, onSight)),
      sight: null,
    };
    stores.set(database.url, entry);
    opened = entry;
  }
  storesOf.set(env, opened.store);
  return ok(opened.store);
}

/** What was last seen of the store, `null` where nobody has asked it anything yet; asks nobody. */
export function lastSight(env: Env): Sight | null {
  const config = parseConfig(env);
  return (config.ok && stores.get(config.value.database.url)?.sight) || null;
}

/** Whether a store that is open knew a domain within the hour; asks nobody. */
export function knowsDomain(env: Env, domain: string): boolean {
  const config = parseConfig(env);
  return config.ok && stores.get(config.value.database.url)?.store.knewDomain(domain) === true;
}

/** The problem of a store that did not answer, or answered nonsense; logs why. */
export function keyStoreUnavailable({ reason }: Unavailable | Unreadable): Problem {
  logError({ event: "key-store-unavailable", reason });
  return {
    slug: "key-store-unavailable",
    detail: "The credential could not be checked, which says nothing about it: try again",
  };
}
