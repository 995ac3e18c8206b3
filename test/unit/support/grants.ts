/** Grants as the edge makes them, checked just now unless the changes say otherwise. */
import type { Grant } from "../../../src/core/grant.ts";
import { later } from "./later.ts";

/** That of a key, the domain's first. */
export function keyGrant(changes: Partial<Grant> = {}): Grant {
  return { keyId: 1, subject: null, expiresAtMs: null, checkedAtMs: later(), ...changes };
}

/** That of a token. */
export function tokenGrant(expiresAtMs: number, changes: Partial<Grant> = {}): Grant {
  return { keyId: null, subject: "somebody", expiresAtMs, checkedAtMs: later(), ...changes };
}
