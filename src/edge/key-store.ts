/**
 * The port to the key store: which keys open a domain, and what the domain allows. A store that cannot answer is
 * `unavailable`, which is never "denied". Knows keys only as their hash or their row's number.
 * Invariant: an answer carries the store's own clock, read in the same query as what it says.
 */
import type { KeyStanding } from "../core/change.ts";
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
      readonly atMs: number;
    }
  | { readonly type: "denied" }
  | Unreadable
  | Unavailable;

/** What the store says of a domain; one without a row has the defaults. */
export type DomainLookup =
  | {
      readonly type: "found";
      readonly policy: Policy;
      readonly tokens: TokenSettings;
      /** It has a row or a key. */
      readonly isKnown: boolean;
      readonly atMs: number;
    }
  | Unreadable
  | Unavailable;

/** What the store says of keys by number; one that is not listed does not exist in that domain. */
export type KeysLookup =
  | {
      readonly type: "found";
      readonly keys: readonly KeyRecord[];
      /** The domain's; `null`: its row cannot be read, which says nothing about the keys. */
      readonly policy: Policy | null;
      readonly atMs: number;
    }
  | Unreadable
  | Unavailable;

/** What came of revoking a key. */
export type Revoked =
  | {
      readonly type: "done";
      /** `null`: the domain has no such key. */
      readonly key: KeyRecord | null;
      readonly atMs: number;
    }
  | Unreadable
  | Unavailable;

/** What came of noting that keys were used. */
export type Noted = { readonly type: "done" } | Unreadable | Unavailable;

/** Whether the store can answer what the hub asks. */
export type Probe =
  | { readonly type: "ready" }
  /** It answers, and has not the tables and columns of schema.sql. */
  | { readonly type: "unprepared"; readonly reason: string }
  | Unreadable
  | Unavailable;

/** What came of a question to the store. */
export interface Sight {
  /** When that was known, by this isolate's clock. */
  readonly atMs: number;
  /** Why it was of no use; `null`: it answered. */
  readonly fault: string | null;
}

/** What becomes of a key. */
export interface KeyRecord {
  readonly keyId: number;
  /** The first that applies, in this order. */
  readonly state: "revoked" | "expired" | "inactive" | "live";
  readonly expiresAtMs: number | null;
}

/** The store answered with a row that schema.sql does not allow; `reason` is for the log. */
export interface Unreadable {
  readonly type: "unreadable";
  readonly reason: string;
}

/** The store did not answer; `reason` is for the log. */
export interface Unavailable {
  readonly type: "unavailable";
  readonly reason: string;
}

/** Milliseconds until a query counts as unanswered: a client waits for it. */
export const QUERY_TIMEOUT_MS = 2000;

/** What comes of one that does. */
export const NO_ANSWER: Unavailable = {
  type: "unavailable",
  reason: `No answer within ${QUERY_TIMEOUT_MS} ms`,
};

/** The port that the edge asks; one query a call, whose end comes within a bound of the store's. */
export interface KeyStore {
  checkKey(keyHash: string, domain: string): Promise<KeyCheck>;
  findDomain(domain: string): Promise<DomainLookup>;
  findKeys(domain: string, keyIds: readonly number[]): Promise<KeysLookup>;
  /** Revokes a key for good. */
  revokeKey(domain: string, keyId: number): Promise<Revoked>;
  /** Notes that keys were used today. */
  noteUses(keyIds: readonly number[]): Promise<Noted>;
  /** Asks whether it could answer the others. */
  probe(): Promise<Probe>;
}

/** What a key's record means for whoever is here by it; `null`: there is no such key (any more). */
export function standingOf(record: KeyRecord | null): KeyStanding {
  return record?.state === "live"
    ? { type: "live", expiresAtMs: record.expiresAtMs }
    : { type: "dead" };
}
