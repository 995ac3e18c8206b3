/**
 * Whose something is: a key's, or a token's subject's, whichever socket it comes from. A number, so that what is
 * remembered of many has a bound: a key is its own, a subject is known by a fingerprint.
 */
import type { Grant } from "../core/grant.ts";
import { fingerprintOf } from "./fingerprint.ts";

/** A key's number, less than 0 for a subject, 0 for sockets of which nothing is known: those are one. */
export type Owner = number;

/** The owner of what is done by a grant. */
export function ownerOf(grant: Grant | null): Owner {
  if (grant === null) return 0;
  return grant.keyId ?? -1 - fingerprintOf(JSON.stringify(grant.subject ?? ""));
}
