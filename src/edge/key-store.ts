/**
 * The port to the key store: who may publish to a domain, and what the domain allows. A store that cannot
 * answer is `unavailable`, which is never "denied". Knows keys only as their hash or their row's number.
 */
import type { Policy } from "../core/policy.ts";
import type { TokenSettings } from "../core/token-settings.ts";

/** What the store says of a key that somebody presents. */
export type KeyCheck =
  | {
      readonly type: "granted";
      readonly keyId: number;
      /** `null`: it does not expire. Milliseconds since the epoch. */
      readonly expiresAtMs: number | null;
      readonly policy: Policy;
    }
  | { readonly type: "denied" }
  | Unavailable;

/** What the store says of a domain; one without a row has the defaults. */
export type DomainLookup =
  | { readonly type: "found"; readonly policy: Policy; readonly tokens: TokenSettings }
  | Unavailable;

/** What the store says of keys by number; one that is not listed does not exist in that domain. */
export type KeysLookup =
  | { readonly type: "found"; readonly keys: readonly KeyRecord[] }
  | Unavailable;

/** What becomes of a key. */
export interface KeyRecord {
  readonly keyId: number;
  /** The first that applies, in this order. */
  readonly state: "revoked" | "expired" | "inactive" | "live";
  readonly expiresAtMs: number | null;
}

/** The store did not answer, or with something it must not say; `reason` is for the log. */
export interface Unavailable {
  readonly type: "unavailable";
  readonly reason: string;
}

/** The port that the edge asks; one query a call. */
export interface KeyStore {
  checkKey(keyHash: string, domain: string): Promise<KeyCheck>;
  findDomain(domain: string): Promise<DomainLookup>;
  findKeys(domain: string, keyIds: readonly number[]): Promise<KeysLookup>;
  /** Revokes a key for good; the answer lists it, unless the domain has none of that number. */
  revokeKey(domain: string, keyId: number): Promise<KeysLookup>;
}
