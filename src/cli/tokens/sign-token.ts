/**
 * Signs tokens: JWTs (RFC 7519) by HS256 with a domain's secret, or by ES256 or EdDSA with a private JWK.
 */
import { importJWK, SignJWT, type JWTPayload } from "jose";
import { parseJson } from "../input/parse-json.ts";
import * as v from "valibot";
import { UserError } from "../../local/fail.ts";
import { readTextFile } from "../../local/read-text-file.ts";
import { algorithmOf } from "../../core/jwk.ts";

/** What signs. */
export interface SigningKey {
  readonly algorithm: string;
  readonly kid: string | null;
  /** What a private key's public half is recognized by, `null` for a secret. */
  readonly x: string | null;
  readonly material: Parameters<SignJWT["sign"]>[0];
}

const PrivateKeySchema = v.object({
  kty: v.string(),
  crv: v.exactOptional(v.string()),
  kid: v.optional(v.nullable(v.string()), null),
  x: v.exactOptional(v.string()),
  y: v.exactOptional(v.string()),
  d: v.exactOptional(v.string()),
});

/** The token of some claims. */
export async function signToken(claims: JWTPayload, key: SigningKey): Promise<string> {
  const { algorithm: alg, kid } = key;
  return new SignJWT(claims)
    .setProtectedHeader({ alg, typ: "JWT", ...(kid !== null && { kid }) })
    .sign(key.material);
}

/** A domain's secret: its UTF-8 bytes. */
export function secretKey(secret: string): SigningKey {
  return { algorithm: "HS256", kid: null, x: null, material: new TextEncoder().encode(secret) };
}

/** The private JWK in a file; throws a UserError that quotes nothing of it. */
export async function readPrivateKey(file: string): Promise<SigningKey> {
  const parsed = v.safeParse(PrivateKeySchema, parseJson(readTextFile(file)));
  if (!parsed.success) {
    throw new UserError(`Cannot sign with ${file}: it is not a JWK ({"kty": …, "crv": …, "d": …})`);
  }
  const jwk = parsed.output;
  const algorithm = algorithmOf(jwk);
  if (algorithm === null) {
    throw new UserError(`Cannot sign with ${file}: give a key of P-256 ("EC") or Ed25519 ("OKP")`);
  }
  if (jwk.d === undefined) {
    throw new UserError(`Cannot sign with ${file}: it is the public key, give the private one`);
  }
  try {
    const { kid, ...key } = jwk;
    const material = await importJWK(key, algorithm);
    return { algorithm, kid, x: jwk.x ?? null, material };
  } catch {
    // A TypeError of jose's for a missing member, a DataError of the platform's; either may quote.
    throw new UserError(`Cannot sign with ${file}: "d", "x" or "y" is wrong`);
  }
}
