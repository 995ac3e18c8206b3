/**
 * A domain's public keys for tokens: a JWK Set (RFC 7517) of P-256 and Ed25519 keys. What is stored may
 * have been written by hand, so reading it asks for little; what is to be stored is checked in full.
 */
import { importJWK, type JWK } from "jose";
import { parseJson } from "../input/parse-json.ts";
import * as v from "valibot";
import { err, ok, type Result } from "../../core/result.ts";

/** A stored JWK Set. */
export interface TokenKeys {
  readonly keys: readonly StoredKey[];
}

/** A public key of it; other members may be there. */
export interface StoredKey {
  readonly kty?: string;
  readonly crv?: string;
  readonly x?: string;
  readonly kid?: string;
}

/** Validates what `token_keys` holds. */
export const TokenKeysSchema: v.GenericSchema<unknown, TokenKeys> = v.object({
  keys: v.array(
    v.looseObject({
      kty: v.exactOptional(v.string()),
      crv: v.exactOptional(v.string()),
      x: v.exactOptional(v.string()),
      kid: v.exactOptional(v.string()),
    }),
  ),
});

const KeySchema = v.object({
  kty: v.string(),
  crv: v.exactOptional(v.string()),
  x: v.exactOptional(v.string()),
  y: v.exactOptional(v.string()),
  kid: v.exactOptional(v.string()),
  use: v.exactOptional(v.string()),
  alg: v.exactOptional(v.string()),
});

const FORM = 'Expected a JWK Set: {"keys": [{"kty": "EC", "crv": "P-256", "x": …, "y": …}]}';

/** Checks the text of a JWK Set; the error is a sentence that quotes nothing of it. */
export async function parseTokenKeys(text: string): Promise<Result<TokenKeys>> {
  const json = parseJson(text);
  const set = v.safeParse(v.object({ keys: v.array(v.record(v.string(), v.unknown())) }), json);
  if (!set.success) return err(FORM);
  if (set.output.keys.length === 0) return err('The JWK Set is empty: give a key, or "none"');
  const keys: StoredKey[] = [];
  for (const [i, candidate] of set.output.keys.entries()) {
    const key = await parsePublicKey(candidate);
    if (!key.ok) return err(`Key ${i + 1} of the JWK Set ${key.error}`);
    keys.push(key.value);
  }
  const ids = keys.flatMap(({ kid }) => kid ?? []);
  if (new Set(ids).size < ids.length) return err('Two keys of the JWK Set have the same "kid"');
  return ok({ keys });
}

/** The algorithm that a kind of key signs with, `null` for kinds that tokens do not use. */
export function algorithmOf(key: {
  kty?: string | undefined;
  crv?: string | undefined;
}): string | null {
  if (key.kty === "EC" && key.crv === "P-256") return "ES256";
  if (key.kty === "OKP" && key.crv === "Ed25519") return "EdDSA";
  return null;
}

async function parsePublicKey(candidate: Record<string, unknown>): Promise<Result<StoredKey>> {
  if ("d" in candidate || candidate["kty"] === "oct") {
    return err('is private (it has "d", or is an "oct"): give the public one, it alone is needed');
  }
  // Members that are not listed are left out: the hub needs none of them.
  const parsed = v.safeParse(KeySchema, candidate);
  if (!parsed.success) {
    const members = parsed.issues.map((issue) => `"${v.getDotPath(issue) ?? "kty"}"`);
    return err(`has a wrong ${members.join(", ")}: give text`);
  }
  const key = parsed.output;
  const algorithm = algorithmOf(key);
  if (algorithm === null) {
    return err('is of a kind that tokens do not use: give P-256 ("EC") or Ed25519 ("OKP")');
  }
  if (key.use !== undefined && key.use !== "sig")
    return err('is not for signatures: "use" is not "sig"');
  if (
    key.alg !== undefined &&
    key.alg !== algorithm &&
    !(key.crv === "Ed25519" && key.alg === "Ed25519")
  ) {
    return err(`has a wrong "alg": it signs with ${algorithm}`);
  }
  return (await isOnCurve(key, algorithm)) ? ok(key) : err('is no key: "x" or "y" is wrong');
}

async function isOnCurve(key: JWK, algorithm: string): Promise<boolean> {
  try {
    await importJWK(key, algorithm);
    return true;
  } catch {
    // A TypeError of jose's for a missing member, a DataError of the platform's for a wrong one.
    return false;
  }
}
