/**
 * What a connection presents, as one more subprotocol (PROTOCOL.md, 12.1). Owns how it is written, and when it
 * should be renewed; verifies nothing.
 */
import { CREDENTIAL_PREFIX } from "../core/subprotocol.ts";

/** Before a token ends, so that the hub need not close anything. */
const RENEWAL_MARGIN_MS = 10_000;
/** A longer time would make a timer fire at once. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** Writes a key or a token as the name of a subprotocol. */
export function credentialName(credential: string): string {
  const base64 = btoa(String.fromCharCode(...new TextEncoder().encode(credential)));
  return CREDENTIAL_PREFIX + base64.replace(/=/g, "").replace(/\+/g, "-").replace(/\//g, "_");
}

/**
 * Milliseconds until a token should be renewed; 0 where that is unknown, or so soon that a clock which is wrong would
 * make it a tight loop: then the hub says when.
 */
export function renewalMs(token: string): number {
  try {
    const [, payload = ""] = token.replace(/-/g, "+").replace(/_/g, "/").split(".");
    const ms = JSON.parse(atob(payload)).exp * 1000 - Date.now() - RENEWAL_MARGIN_MS;
    return ms > RENEWAL_MARGIN_MS ? Math.min(ms, MAX_TIMER_MS) : 0;
  } catch {
    // SyntaxError, InvalidCharacterError or TypeError: it is no JWT.
    return 0;
  }
}
