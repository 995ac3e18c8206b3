/**
 * Verifies the tokens of a domain: JSON Web Tokens (RFC 7519), signed as the domain says. The cryptography is jose's.
 * Invariant: the key decides on the algorithm, never the token (RFC 8725, section 3.1).
 */
import { compactVerify, errors, importJWK } from "jose";
import { algorithmNamed, type PublicKey } from "../core/jwk.ts";
import { err, ok, type Result } from "../core/result.ts";
import { readAccess, type AskedAccess } from "../core/token-claims.ts";
import { readTokenHeader, type TokenHeader } from "../core/token-header.ts";
import { isLive, type TokenSettings } from "../core/token-settings.ts";

/** What became of a token; a reason is for its holder and repeats nothing of it. */
export type TokenCheck =
  | { readonly type: "granted"; readonly subject: string; readonly expiresAtMs: number }
  /** It would open the topic, had it not ended. */
  | { readonly type: "expired" }
  /** It is good, and for something else on this topic. */
  | { readonly type: "other-action" }
  | {
      readonly type: "denied";
      readonly reason: string;
      /** Newer settings of the domain may say otherwise. */
      readonly isBySettings: boolean;
    }
  /** It is by a public key, and those of the domain must not be relied on. */
  | { readonly type: "undecided" };

/** Characters; a header that is longer does not pass every proxy. */
export const MAX_TOKEN_LENGTH = 8192;
/** Keys that are tried for a token that does not name its own. */
const MAX_KEYS = 16;

/** Verifies a token for what it is presented for, at a time in milliseconds since the epoch. */
export async function verifyToken(
  token: string,
  asked: AskedAccess,
  settings: TokenSettings,
  nowMs: number,
): Promise<TokenCheck> {
  const header = token.length > MAX_TOKEN_LENGTH ? null : readTokenHeader(token);
  if (header === null) return denied("The token is malformed");
  // An unencoded payload has no place in a JWT (RFC 7797, section 7).
  if (header.b64 !== undefined) return denied("The token is malformed");
  const candidates = findCandidates(header, settings, nowMs);
  if (candidates === null) return { type: "undecided" };
  const payload = await verifySignature(token, candidates);
  if (payload === null) {
    return denied("The token's signature is not by a key of this domain", true);
  }
  const claims = parseClaims(payload);
  if (!claims.ok) return denied(claims.error);
  const access = readAccess(claims.value, asked, settings, nowMs);
  if (access.ok) return { type: "granted", ...access.value };
  switch (access.cause) {
    case "expired":
      return { type: "expired" };
    case "action":
      return { type: "other-action" };
    case "issuer":
    case "claims":
      return denied(access.error, access.cause === "issuer");
  }
}

/** The payload of a token that one of the keys signed, `null` for any other. */
async function verifySignature(
  token: string,
  candidates: readonly Candidate[],
): Promise<Uint8Array | null> {
  for (const { alg, key } of candidates) {
    try {
      const verifyingKey = key instanceof Uint8Array ? key : await importJWK({ ...key }, alg);
      const { payload } = await compactVerify(token, verifyingKey, { algorithms: [alg] });
      return payload;
    } catch (error) {
      if (!isBadToken(error)) throw error;
    }
  }
  return null;
}

interface Candidate {
  /** As the token calls it. */
  readonly alg: string;
  readonly key: Uint8Array | PublicKey["jwk"];
}

/** The keys that may have signed a token with this header; `null`: it is not known. */
function findCandidates(
  { alg, kid }: TokenHeader,
  { secrets, keys }: TokenSettings,
  nowMs: number,
): Candidate[] | null {
  if (alg === "HS256") {
    return secrets
      .filter((secret) => isLive(secret, nowMs))
      .map(({ text }) => ({ alg, key: new TextEncoder().encode(text) }));
  }
  const algorithm = algorithmNamed(alg);
  if (algorithm === null || typeof alg !== "string") return [];
  if (keys === null) return null;
  const isUnnamed = kid === undefined || kid === null;
  return keys
    .filter((key) => key.alg === algorithm && isLive(key, nowMs))
    .filter((key) => isUnnamed || key.kid === null || key.kid === kid)
    .slice(0, MAX_KEYS)
    .map(({ jwk }) => ({ alg, key: jwk }));
}

/** What a hostile token, or a key that is none, can make fail; anything else is a bug. */
function isBadToken(error: unknown): boolean {
  return (
    error instanceof errors.JOSEError ||
    // A part that is not base64url.
    error instanceof TypeError ||
    // A key that the runtime does not take.
    error instanceof DOMException
  );
}

function parseClaims(payload: Uint8Array): Result<unknown> {
  try {
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(payload);
    return ok(JSON.parse(text));
  } catch (error) {
    // TypeError: not UTF-8. SyntaxError: not JSON.
    if (!(error instanceof TypeError || error instanceof SyntaxError)) throw error;
    return err("The token's payload is not JSON");
  }
}

function denied(reason: string, isBySettings = false): TokenCheck {
  return { type: "denied", reason, isBySettings };
}
