/**
 * What a client offers in `Sec-WebSocket-Protocol` (RFC 6455, section 4.1): the two real subprotocols,
 * and a key or a token, for clients that cannot set headers (PROTOCOL.md, 12.1). Neither is ever agreed on.
 */
import { STREAM_PROTOCOL, type Protocol } from "./stream.ts";
import { isToken } from "./token-header.ts";

/** A raw socket by name, for browsers: they want one of the names they offered to be agreed on. */
export const RAW_PROTOCOL = "wspubsub.raw";
/** What a credential's name begins with; the key follows as base64url (RFC 4648, section 5). */
export const CREDENTIAL_PREFIX = "base64url.bearer.authorization.wspubsub.";

/** The names that the hub agrees on. */
export type Subprotocol = typeof STREAM_PROTOCOL | typeof RAW_PROTOCOL;

/** What was offered. */
export interface Offer {
  /** What the hub agrees on, `null` when nothing it knows was offered. */
  readonly agreed: Subprotocol | null;
  /** The keys as they were encoded, and tokens: they are names as they are (RFC 9110, section 5.6.2). */
  readonly credentials: readonly string[];
}

/** Reads the header's value; names are case-sensitive, the client's order is its preference. */
export function parseOffer(header: string | null): Offer {
  const names = (header ?? "").split(",").map((name) => name.trim());
  return {
    agreed: names.find((name) => name === STREAM_PROTOCOL || name === RAW_PROTOCOL) ?? null,
    credentials: names
      .filter((name) => name.startsWith(CREDENTIAL_PREFIX) || isToken(name))
      .map((name) =>
        name.startsWith(CREDENTIAL_PREFIX) ? name.slice(CREDENTIAL_PREFIX.length) : name,
      ),
  };
}

/** How a socket is on its topic, by what was agreed. */
export function protocolOf(agreed: Subprotocol | null): Protocol {
  return agreed === STREAM_PROTOCOL ? "stream" : "raw";
}
