/**
 * What opened a socket, and until when it holds: a key of the domain or a token. Travels from the edge with
 * the admission and stays with the socket. Knows neither the secret nor its hash: a key is its row's number.
 */
import * as v from "valibot";

/** A credential that was checked. */
export interface Grant {
  /** The key's `id` in Postgres, `null` for a token. */
  readonly keyId: number | null;
  /** The token's `sub`, 1 to 256 characters; `null` for a key, and for a token that version 0.1 took. */
  readonly subject: string | null;
  /** When it ends by itself, `null` for never; milliseconds since the epoch. */
  readonly expiresAtMs: number | null;
  /** When the key store vouched for it, or for who signs tokens, by the key store's clock. */
  readonly checkedAtMs: number;
}

/** Whether a grant is a token's. */
export function isTokenGrant(grant: Grant | null): boolean {
  return grant !== null && grant.keyId === null;
}

/** Whether a grant has ended by itself. */
export function hasEnded({ expiresAtMs }: Grant, nowMs: number): boolean {
  return expiresAtMs !== null && expiresAtMs <= nowMs;
}

/** Validates a grant that comes from an admission, a ticket or an attachment. */
export const GrantSchema: v.GenericSchema<unknown, Grant> = v.object({
  keyId: v.nullable(v.pipe(v.number(), v.integer())),
  subject: v.optional(v.nullable(v.string()), null),
  expiresAtMs: v.nullable(v.number()),
  checkedAtMs: v.number(),
});
