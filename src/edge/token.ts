/**
 * Verifies the tokens of private topics: JSON Web Tokens (RFC 7519), signed by who the domain says. The
 * cryptography is jose's. Invariant: the key decides on the algorithm, never the token (RFC 8725, section 3.1).
 */
import { compactVerify, decodeProtectedHeader, errors, importJWK } from "jose";
import type { Address } from "../core/address.ts";
import { err, ok, type Result } from "../core/result.ts";
import { readAccess } from "../core/token-claims.ts";
import type { PublicKey, TokenSettings } from "../core/token-settings.ts";

/** What became of a token; the reason is for its holder and repeats nothing of it. */
export type TokenCheck =
  | { readonly type: "granted"; readonly subject: string; readonly expiresAtMs: number }
  | { readonly type: "denied"; readonly reason: string };

/** Characters; a header that is longer does not pass every proxy. */
export const MAX_TOKEN_LENGTH = 8192;
/** Keys that are tried for a token that does not name its own. */
const MAX_KEYS = 16;

/** Whether a text has the form of a token (RFC 7515, section 3.1), which no key of this hub's making has. */
export function isToken(text: string): boolean {
  return /^eyJ[\w-]*\.[\w-]*\.[\w-]*$/.test(text);
}

/** Verifies a token for a topic at a time, in milliseconds since the epoch. */
export async function verifyToken(
  token: string,
  address: Address,
  settings: TokenSettings,
  nowMs: number,
): Promise<TokenCheck> {
  if (token.length > MAX_TOKEN_LENGTH || !isToken(token)) return denied("The token is malformed");
  const payload = await verifySignature(token, settings);
  if (payload === null) return denied("The token's signature is not by a key of this domain");
  const claims = parseClaims(payload);
  if (!claims.ok) return denied(claims.error);
  const access = readAccess(claims.value, address, settings, nowMs);
  return access.ok ? { type: "granted", ...access.value } : denied(access.error);
}

/** The payload of a token that a key of the domain signed, `null` for any other. */
async function verifySignature(token: string, settings: TokenSettings): Promise<Uint8Array | null> {
  const header = readHeader(token);
  // An unencoded payload has no place in a JWT (RFC 7797, section 7).
  if (header === null || header.b64 !== undefined) return null;
  for (const { alg, key } of candidates(header, settings)) {
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

interface Header {
  readonly alg?: unknown;
  readonly kid?: unknown;
  readonly b64?: unknown;
}

function readHeader(token: string): Header | null {
  try {
    return decodeProtectedHeader(token);
  } catch (error) {
    if (isBadToken(error)) return null;
    throw error;
  }
}

interface Candidate {
  readonly alg: "HS256" | PublicKey["alg"];
  readonly key: Uint8Array | PublicKey["jwk"];
}

/** The keys that may have signed a token with this header, each for its own algorithm. */
function candidates({ alg, kid }: Header, { secret, keys }: TokenSettings): Candidate[] {
  if (alg === "HS256") {
    return secret === null ? [] : [{ alg, key: new TextEncoder().encode(secret) }];
  }
  return keys
    .filter((key) => key.alg === alg && (kid === undefined || key.kid === null || key.kid === kid))
    .slice(0, MAX_KEYS)
    .map((key) => ({ alg: key.alg, key: key.jwk }));
}

/** What a hostile token, or a key that is none, can make fail; anything else is a bug. */
function isBadToken(error: unknown): boolean {
  return (
    error instanceof errors.JOSEError ||
    // A header that is not base64url, UTF-8 or a JSON object.
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

function denied(reason: string): TokenCheck {
  return { type: "denied", reason };
}
