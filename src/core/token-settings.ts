/**
 * What a domain's row says of tokens: with which secrets and keys they are signed, and until when. Secrets are held,
 * never shown. Invariant: an entry of the JWK Set that is of no use costs nothing but itself; one that is private costs
 * the set, and never the secrets.
 */
import * as v from "valibot";
import { readJwk, type PublicKey } from "./jwk.ts";

/** What a domain's tokens may be signed with. */
export interface TokenSettings {
  /** What `iss` must be, `null`: anything. */
  readonly issuer: string | null;
  /** Each signs with HS256, by its UTF-8 bytes; the current one first. */
  readonly secrets: readonly TokenSecret[];
  /** `null`: what is stored must not be relied on, since it has a private key or is no JWK Set. */
  readonly keys: readonly PublicKey[] | null;
}

/** A secret. */
export interface TokenSecret {
  readonly text: string;
  /** When it ends, `null`: never. Milliseconds since the epoch. */
  readonly expiresAtMs: number | null;
}

/** A domain without a row, or without tokens: none is good. */
export const NO_TOKENS: TokenSettings = { issuer: null, secrets: [], keys: [] };

/** An HMAC is as strong as its secret (RFC 7518, section 3.2: 256 bits). */
const MIN_SECRET_LENGTH = 32;

const SecretSchema = v.optional(
  v.nullable(v.pipe(v.string(), v.minLength(MIN_SECRET_LENGTH))),
  null,
);
/** Postgres counts microseconds. */
const EndSchema = v.optional(
  v.nullable(
    v.pipe(
      v.number(),
      v.finite(),
      v.transform((ms) => Math.round(ms)),
    ),
  ),
  null,
);
const JwkSetSchema = v.object({ keys: v.array(v.unknown()) });

/** Reads the columns of a domain's row that are about tokens. */
export const TokenSettingsSchema: v.GenericSchema<unknown, TokenSettings> = v.pipe(
  v.object({
    tokenIssuer: v.nullable(v.string()),
    tokenSecret: SecretSchema,
    tokenSecretExpiresAtMs: EndSchema,
    tokenSecretPrevious: SecretSchema,
    tokenSecretPreviousExpiresAtMs: EndSchema,
    tokenKeys: v.unknown(),
  }),
  v.transform((row) => ({
    issuer: row.tokenIssuer,
    secrets: [
      ...secretOf(row.tokenSecret, row.tokenSecretExpiresAtMs),
      ...secretOf(row.tokenSecretPrevious, row.tokenSecretPreviousExpiresAtMs),
    ],
    keys: row.tokenKeys === null ? [] : readKeys(row.tokenKeys),
  })),
);

/** Whether a secret or a key has not ended. */
export function isLive(
  { expiresAtMs }: { readonly expiresAtMs: number | null },
  nowMs: number,
): boolean {
  return expiresAtMs === null || expiresAtMs > nowMs;
}

function secretOf(text: string | null, expiresAtMs: number | null): TokenSecret[] {
  return text === null ? [] : [{ text, expiresAtMs }];
}

function readKeys(stored: unknown): PublicKey[] | null {
  const set = v.safeParse(JwkSetSchema, stored);
  if (!set.success) return null;
  const readings = set.output.keys.map(readJwk);
  if (readings.some(({ type }) => type === "private")) return null;
  return readings.flatMap((reading) => (reading.type === "usable" ? [reading.key] : []));
}
