/**
 * What opened a socket, and until when it holds: a key of the domain or a token. Travels from the edge with
 * the admission and stays with the socket. Knows neither the secret nor its hash: a key is its row's number.
 */
import * as v from "valibot";

/** A credential that was checked. */
export interface Grant {
  /** The key's `id` in Postgres, `null` for a token. */
  readonly keyId: number | null;
  /** When it ends by itself, `null` for never; milliseconds since the epoch. */
  readonly expiresAtMs: number | null;
  /** When the key store last vouched for it, taken before it was asked. */
  readonly checkedAtMs: number;
}

/** Validates a grant that comes from an admission or an attachment. */
export const GrantSchema: v.GenericSchema<unknown, Grant> = v.object({
  keyId: v.nullable(v.pipe(v.number(), v.integer())),
  expiresAtMs: v.nullable(v.number()),
  checkedAtMs: v.number(),
});

/** What the key store says of a key that is in use. */
export type KeyStanding =
  | { readonly type: "live"; readonly expiresAtMs: number | null }
  /** Revoked, expired, inactive, or not there any more. */
  | { readonly type: "dead" };

/** Since when a key opens nothing. */
export interface Revocation {
  readonly keyId: number;
  readonly atMs: number;
}

/**
 * Whether a grant may have been given before a revocation: then the key store must be asked again. Clocks of
 * two machines differ, hence the tolerance; a grant wrongly suspected costs one query.
 */
export function mayPrecede(grant: Grant, revocation: Revocation): boolean {
  return (
    grant.keyId === revocation.keyId && grant.checkedAtMs <= revocation.atMs + CLOCK_TOLERANCE_MS
  );
}

const CLOCK_TOLERANCE_MS = 2000;
