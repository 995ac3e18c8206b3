/**
 * What an operator changed and what must be true at once for what is live: a key, or the domain's policy. The domain
 * object numbers changes and tells the objects that they concern; each carries the key store's clock as well, so that
 * it can be compared with grants and policies that came another way.
 */
import * as v from "valibot";
import { PolicySchema, type Policy } from "./policy.ts";

/** What the key store says of a key. */
export type KeyStanding =
  | { readonly type: "live"; readonly expiresAtMs: number | null }
  /** Revoked, expired, inactive, or not there any more. */
  | { readonly type: "dead" };

/** A key of which the key store was heard to say something new. */
export interface KeyChange {
  readonly type: "key";
  readonly keyId: number;
  readonly standing: KeyStanding;
  /** By the key store's clock; `HELD_AT_MS` while the key store has not heard of it. */
  readonly atMs: number;
  /** Rises with each change of a domain. */
  readonly number: number;
}

/** A domain's policy that replaces whatever is older. */
export interface PolicyChange {
  readonly type: "policy";
  readonly policy: Policy;
  /** By the key store's clock. */
  readonly atMs: number;
  /** Rises with each change of a domain. */
  readonly number: number;
}

/** Either. */
export type Change = KeyChange | PolicyChange;

/** Later than everything: a revocation that the domain holds because the key store cannot be reached. */
export const HELD_AT_MS: number = Number.MAX_SAFE_INTEGER;

/** A look that wants an answer newer than this is answered by the key store itself, past all caches. */
export const ANEW: number = Number.MAX_SAFE_INTEGER;

/** What an object that was told of a change did about it. */
export interface Heard {
  /** Sockets that it closed. */
  readonly closed: number;
  /** Whether it is still live, so that policies concern it. */
  readonly isLive: boolean;
  /** Whether it still holds grants of the key. */
  readonly holdsKey: boolean;
}

/** What came of telling everyone. */
export interface Told {
  /** Sockets that were closed. */
  readonly closed: number;
  /** Objects that heard of it. */
  readonly told: number;
  /** Objects that could not be reached yet, and are told again. */
  readonly missed: number;
  /** A revocation of this key is held until the key store has it, so what the key store says now counts for nothing. */
  readonly isHeld: boolean;
}

/** How many topics a domain may have, and when that held by the key store's clock. */
export interface TopicBound {
  readonly maxTopics: number;
  readonly atMs: number;
}

/** An object makes itself known to its domain. */
export interface Entry {
  /** Which object: `topic/` and the topic's name. */
  readonly holder: string;
  /** Names one life of a topic, from its start to its end; `null` while it is vacant. */
  readonly life: string | null;
  /** Keys of which it holds grants, or is about to. */
  readonly keyIds: readonly number[];
  /**
   * The domain does not enter it where there are too many; `null` while the object does not know how many may be.
   * Without it, as by the version before, it is entered in any case.
   */
  readonly bound?: TopicBound | null;
}

/** What an object must know from then on; it hears of what is newer. */
export interface Entered {
  /** The last change of each of its keys, where there was one of late. */
  readonly changes: readonly KeyChange[];
  /** The last change of the domain's policy, `null` where there was none of late. */
  readonly policy: PolicyChange | null;
  /** The object was not entered, and hears of nothing. The version before never says so. */
  readonly hasTooManyTopics?: boolean;
}

/** What the key store says of keys in use and of their domain (edge/key-desk.ts). */
export interface LookUp {
  /** By the key store's clock. */
  readonly atMs: number;
  readonly standings: readonly { readonly keyId: number; readonly standing: KeyStanding }[];
  /** `null`: the domain's row cannot be read. */
  readonly policy: Policy | null;
}

export const KeyStandingSchema: v.GenericSchema<unknown, KeyStanding> = v.variant("type", [
  v.object({ type: v.literal("live"), expiresAtMs: v.nullable(v.number()) }),
  v.object({ type: v.literal("dead") }),
]);

/** Validates a change of the policy that comes from storage. */
export const PolicyChangeSchema: v.GenericSchema<unknown, PolicyChange> = v.object({
  type: v.literal("policy"),
  policy: PolicySchema,
  atMs: v.number(),
  number: v.number(),
});
