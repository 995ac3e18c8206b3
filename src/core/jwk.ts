/**
 * What an entry of a JWK Set (RFC 7517) is good for: to verify tokens, or for nothing. One rule for storing a set and
 * for relying on it. Invariant: a key is bound to one algorithm here, so that no token can choose another; a reason
 * never repeats what an entry says.
 */
import * as v from "valibot";

/** A public key, with the one algorithm that it verifies. */
export interface PublicKey {
  /** Ed25519 has two names: a token may use either (RFC 9864, section 2.2). */
  readonly alg: "ES256" | "EdDSA";
  readonly kid: string | null;
  /** When it ends, `null`: never. Milliseconds since the epoch. */
  readonly expiresAtMs: number | null;
  /** The members that make up the key (RFC 7518, section 6.2; RFC 8037, section 2). */
  readonly jwk: Readonly<Record<string, string>>;
}

/** What an entry is. */
export type JwkReading =
  | { readonly type: "usable"; readonly key: PublicKey }
  /** Somebody's secret, in a place that is no secret: nothing beside it may be relied on. */
  | { readonly type: "private" }
  | { readonly type: "unusable"; readonly reason: string };

/** Private members of any type of key: RFC 7518, sections 6.2.2, 6.3.2 and 6.4; `priv` is of post-quantum ones. */
const PRIVATE_MEMBERS = ["d", "k", "p", "q", "dp", "dq", "qi", "priv"];

/** Other programs write `null` for what a key does not have. */
function optional<T>(schema: v.GenericSchema<unknown, T>): v.GenericSchema<unknown, T | null> {
  return v.optional(v.nullable(schema), null);
}

const MetadataSchema = v.object({
  kid: optional(v.string()),
  use: optional(v.string()),
  key_ops: optional(v.array(v.string())),
  alg: optional(v.string()),
  exp: optional(v.pipe(v.number(), v.finite())),
});

const CurveSchema = v.object({ kty: v.string(), crv: v.string() });
const P256Schema = v.object({ ...CurveSchema.entries, x: v.string(), y: v.string() });
const Ed25519Schema = v.object({ ...CurveSchema.entries, x: v.string() });

/** Reads an entry, whatever it is (RFC 7517, section 5: what is not usable is to be ignored). */
export function readJwk(entry: unknown): JwkReading {
  if (typeof entry !== "object" || entry === null || Array.isArray(entry)) {
    return unusable("is no key");
  }
  if (hasPrivateMember(entry)) return { type: "private" };
  const metadata = v.safeParse(MetadataSchema, entry);
  if (!metadata.success) {
    const names = metadata.issues.map((issue) => `"${String(issue.path?.[0].key)}"`);
    return unusable(`has a wrong ${[...new Set(names)].join(", ")}`);
  }
  const algorithm = algorithmOf(entry);
  if (algorithm === null) {
    return unusable('is of a kind that tokens do not use: give P-256 ("EC") or Ed25519 ("OKP")');
  }
  const { kid, use, key_ops: operations, alg, exp } = metadata.output;
  if (use !== null && use !== "sig") return unusable('is not for signatures: "use" is not "sig"');
  if (operations !== null && !operations.includes("verify")) {
    return unusable('is not for signatures: "key_ops" is without "verify"');
  }
  if (alg !== null && algorithmNamed(alg) !== algorithm) {
    return unusable(`has a wrong "alg": it signs with ${algorithm}`);
  }
  const jwk = v.safeParse(algorithm === "ES256" ? P256Schema : Ed25519Schema, entry);
  if (!jwk.success) return unusable('is no key: "x" or "y" is wrong');
  const expiresAtMs = exp === null ? null : exp * 1000;
  return { type: "usable", key: { alg: algorithm, kid, expiresAtMs, jwk: jwk.output } };
}

/** The algorithm that a kind of key signs with, `null` for kinds that tokens do not use. */
export function algorithmOf(key: object): PublicKey["alg"] | null {
  const curve = v.safeParse(CurveSchema, key);
  if (!curve.success) return null;
  const { kty, crv } = curve.output;
  if (kty === "EC" && crv === "P-256") return "ES256";
  return kty === "OKP" && crv === "Ed25519" ? "EdDSA" : null;
}

/** The algorithm of a name that a token or a key gives, `null` where public keys have no such algorithm. */
export function algorithmNamed(alg: unknown): PublicKey["alg"] | null {
  if (alg === "ES256") return alg;
  return alg === "EdDSA" || alg === "Ed25519" ? "EdDSA" : null;
}

/** What people call an entry: its place, and its name if it has one. */
export function nameJwk(entry: unknown, index: number): string {
  const named = v.safeParse(v.object({ kid: v.string() }), entry);
  const place = `Key ${index + 1}`;
  // Quoted: it may have control characters.
  return named.success ? `${place} (${JSON.stringify(named.output.kid.slice(0, 64))})` : place;
}

/** `null` and the empty text are no secrets. */
function hasPrivateMember(entry: object): boolean {
  return Object.entries(entry).some(
    ([name, value]) => PRIVATE_MEMBERS.includes(name) && typeof value === "string" && value !== "",
  );
}

function unusable(reason: string): JwkReading {
  return { type: "unusable", reason };
}
