/**
 * What a domain's row says of tokens: who may sign them, and with which keys. Secrets are held, never shown.
 * Invariant: a key is bound to one algorithm here, so that no token can choose another.
 */
import * as v from "valibot";

/** Who may sign a domain's tokens. */
export interface TokenSettings {
  /** What `iss` must be, `null`: anything. */
  readonly issuer: string | null;
  /** Signs with HS256, by its UTF-8 bytes; `null`: nobody does. */
  readonly secret: string | null;
  readonly keys: readonly PublicKey[];
}

/** A public key of a JWK Set (RFC 7517), with the one algorithm that it verifies. */
export interface PublicKey {
  readonly alg: "ES256" | "EdDSA";
  readonly kid: string | null;
  /** The members that make up the key (RFC 7518, section 6.2; RFC 8037, section 2). */
  readonly jwk: Readonly<Record<string, string>>;
}

/** A domain without a row, or without tokens: none is good. */
export const NO_TOKENS: TokenSettings = { issuer: null, secret: null, keys: [] };

/** An HMAC is as strong as its secret (RFC 7518, section 3.2: 256 bits). */
const MIN_SECRET_LENGTH = 32;

const MetadataEntries = {
  kid: v.optional(v.string()),
  use: v.optional(v.string(), "sig"),
  alg: v.optional(v.string()),
  // Somebody stored a private key, which must not be relied on: better nobody gets in.
  d: v.optional(v.never()),
};

const P256Schema = v.pipe(
  v.object({
    ...MetadataEntries,
    kty: v.literal("EC"),
    crv: v.literal("P-256"),
    x: v.string(),
    y: v.string(),
  }),
  v.transform(({ kid, use, alg = "ES256", kty, crv, x, y }) =>
    use === "sig" && alg === "ES256"
      ? ({ alg, kid: kid ?? null, jwk: { kty, crv, x, y } } satisfies PublicKey)
      : null,
  ),
);

const Ed25519Schema = v.pipe(
  v.object({
    ...MetadataEntries,
    kty: v.literal("OKP"),
    crv: v.literal("Ed25519"),
    x: v.string(),
  }),
  v.transform(({ kid, use, alg = "EdDSA", kty, crv, x }) =>
    use === "sig" && (alg === "EdDSA" || alg === "Ed25519")
      ? ({ alg: "EdDSA", kid: kid ?? null, jwk: { kty, crv, x } } satisfies PublicKey)
      : null,
  ),
);

/** Keys of other types, or for other uses, which a JWK Set may have as well. */
const OtherSchema = v.pipe(
  v.object({ kty: v.string(), d: MetadataEntries.d, k: MetadataEntries.d }),
  v.transform(() => null),
);

const JwkSetSchema = v.object({
  keys: v.pipe(
    v.array(v.union([P256Schema, Ed25519Schema, OtherSchema])),
    v.transform((keys) => keys.filter((key) => key !== null)),
  ),
});

/** Reads the columns `tokenIssuer`, `tokenSecret` and `tokenKeys` of a domain's row. */
export const TokenSettingsSchema: v.GenericSchema<unknown, TokenSettings> = v.pipe(
  v.object({
    tokenIssuer: v.nullable(v.string()),
    tokenSecret: v.nullable(v.pipe(v.string(), v.minLength(MIN_SECRET_LENGTH))),
    tokenKeys: v.nullable(JwkSetSchema),
  }),
  v.transform(({ tokenIssuer, tokenSecret, tokenKeys }) => ({
    issuer: tokenIssuer,
    secret: tokenSecret,
    keys: tokenKeys?.keys ?? [],
  })),
);
