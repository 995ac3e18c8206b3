/**
 * What a connection presents, as one more subprotocol (PROTOCOL.md, 12.1). Owns how it is written, and when it
 * should be renewed; verifies nothing.
 */
import { CREDENTIAL_PREFIX } from "../core/subprotocol.ts";

/** Before a token ends, so that the hub need not close anything: two heartbeats. */
const RENEWAL_MS = 20_000;

/** Writes a key or a token as the name of a subprotocol. */
export function credentialName(credential: string): string {
  const base64 = btoa(String.fromCharCode(...new TextEncoder().encode(credential)));
  return CREDENTIAL_PREFIX + base64.replace(/=/g, "").replace(/\+/g, "-").replace(/\//g, "_");
}

/**
 * When a token should be renewed, in milliseconds since the epoch; NaN where that is unknown, or so soon that a clock
 * which is wrong would make it a tight loop: then the hub says when.
 */
export function renewalTime(token: string): number {
  try {
    const [, payload = ""] = token.replace(/-/g, "+").replace(/_/g, "/").split(".");
    const timeMs = JSON.parse(atob(payload)).exp * 1000 - RENEWAL_MS;
    return timeMs > Date.now() + RENEWAL_MS ? timeMs : NaN;
  } catch {
    // SyntaxError, InvalidCharacterError or TypeError: it is no JWT.
    return NaN;
  }
}
