/**
 * What a connection presents, as one more subprotocol (PROTOCOL.md, 12.1). Owns how it is written, and when it
 * should be renewed; verifies nothing.
 */
import { encodeBase64 } from "../core/base64.ts";
import { CREDENTIAL_PREFIX } from "../core/subprotocol.ts";

/** Before a token ends, so that the hub need not close anything. */
const RENEWAL_MARGIN_MS = 10_000;
/** A longer time would make a timer fire at once. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** Writes a key or a token as the name of a subprotocol. */
export function credentialName(credential: string): string {
  const { buffer } = new TextEncoder().encode(credential);
  return CREDENTIAL_PREFIX + toUrl(encodeBase64(buffer));
}

/**
 * Milliseconds until a token should be renewed; `null` where that is unknown, or so soon that a clock which is wrong
 * would make it a tight loop: then the hub says when.
 */
export function renewalMs(token: string): number | null {
  const ms = expiryMs(token) - Date.now() - RENEWAL_MARGIN_MS;
  return ms > RENEWAL_MARGIN_MS ? Math.min(ms, MAX_TIMER_MS) : null;
}

/** NaN where it does not say. */
function expiryMs(token: string): number {
  try {
    const [, payload = ""] = token.split(".");
    const base64 = payload.replaceAll("-", "+").replaceAll("_", "/");
    const claims: { readonly exp?: unknown } = JSON.parse(atob(base64));
    return Number(claims.exp) * 1000;
  } catch {
    // SyntaxError, InvalidCharacterError or TypeError: it is no JWT.
    return NaN;
  }
}

function toUrl(base64: string): string {
  return base64.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}
