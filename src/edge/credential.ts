/**
 * What a request presents to be let in (PROTOCOL.md, 12.1 and 13.2): a key of the domain, a token or a ticket,
 * in a header, a subprotocol, the path or the query. Checks its form alone. One that cannot be read is refused
 * like a wrong one, never overlooked.
 */
import type { Problem } from "../core/problem.ts";
import { err, ok, type Result } from "../core/result.ts";
import { isToken } from "../core/token-header.ts";
import { MAX_TOKEN_LENGTH } from "./token.ts";

/** What a client presents. */
export type Credential =
  | PresentedKey
  | { readonly type: "token"; readonly text: string }
  | { readonly type: "ticket"; readonly text: string };

/** A key as a client presents it. */
export interface PresentedKey {
  readonly type: "key";
  readonly text: string;
  /** Whether it stands in the path, which some domains do not take. */
  readonly isInPath: boolean;
}

/** Where a request may carry a credential. */
export interface CredentialPlaces {
  /** The header's value, `null` without one. */
  readonly authorization: string | null;
  /** What follows the prefix in offered subprotocols, still encoded; a token may stand there as it is. */
  readonly encoded: readonly string[];
}

/** UTF-16 code units; longer than any key that `apikeys` can hold. */
const MAX_KEY_LENGTH = 256;
/** The scheme's whole name: what a token could go on with makes it another one (RFC 9110, section 5.6.2). */
const BEARER = /^bearer(?![\w!#$%&'*+.^`|~-])/i;
/** 32 bytes as base64url. */
const TICKET = /^[\w-]{43}$/;

/**
 * Reads a publisher's credential; `pathKey` is the path's decoded segment, `null` where the path has none, `ticket` the
 * value of `?ticket=`.
 */
export function readPublisherCredential(
  places: CredentialPlaces,
  pathKey: string | null,
  ticket: string | null,
): Result<Credential, Problem> {
  const found = findCredential(places);
  if (!found.ok) return refuseKey();
  if (found.value !== null) return readKeyOrToken(found.value);
  if (pathKey === null && ticket !== null) return readTicket(ticket);
  if (pathKey === null || pathKey === "") {
    return err({
      slug: "key-required",
      detail:
        'Send "Authorization: Bearer ApiKey", or put the key into the path: /ws/pub/ApiKey/Domain/Topic',
    });
  }
  const fault = faultOfKey(pathKey);
  if (fault !== null) return err({ slug: "invalid-address", detail: `The API key ${fault}` });
  return ok({ type: "key", text: pathKey, isInPath: true });
}

/** Reads a subscriber's credential, `null` when it presents none; `ticket` is the value of `?ticket=`. */
export function readSubscriberCredential(
  places: CredentialPlaces,
  ticket: string | null,
): Result<Credential | null, Problem> {
  const found = findCredential(places);
  if (!found.ok) return refuseKey();
  if (found.value !== null) return readKeyOrToken(found.value);
  return ticket === null ? ok(null) : readTicket(ticket);
}

/** Reads what `Authorization: Bearer` or a subprotocol holds. */
export function readKeyOrToken(
  text: string,
): Result<Exclude<Credential, { type: "ticket" }>, Problem> {
  if (!isToken(text)) return readKey(text);
  return text.length > MAX_TOKEN_LENGTH
    ? err({
        slug: "token-rejected",
        detail: `The token has more than ${MAX_TOKEN_LENGTH} characters`,
      })
    : ok({ type: "token", text });
}

/** The key that a request presents beside the path, `null` when it presents none. */
export function findCredential({
  authorization,
  encoded: [first, ...others],
}: CredentialPlaces): Result<string | null, "malformed"> {
  // RFC 6750, section 2.1; the scheme's case does not matter (RFC 9110, section 11.1). Another scheme
  // is meant for somebody else, such as a proxy on the way.
  if (authorization !== null && BEARER.test(authorization)) {
    const [, key] = /^bearer +(\S+)$/i.exec(authorization.trim()) ?? [];
    return key === undefined ? err("malformed") : ok(key);
  }
  if (first === undefined) return ok(null);
  if (others.length > 0) return err("malformed");
  // Neither can be taken for the other: what is encoded has no dots.
  const text = isToken(first) ? first : decode(first);
  return text === null || text === "" ? err("malformed") : ok(text);
}

/** The one answer to every key that opens nothing: byte for byte the same, whatever is wrong with it. */
export function refuseKey(): Result<never, Problem> {
  return err({
    slug: "key-rejected",
    detail: "The key is unknown, inactive, expired, revoked, or belongs to another domain",
  });
}

/** The answer to a token that would open, had it not ended. */
export function refuseEndedToken(): Result<never, Problem> {
  return err({ slug: "token-expired", detail: "Get another token, and come back with it" });
}

/** The answer to a good key in the path, where the domain takes none there. */
export function refuseKeyInPath(): Result<never, Problem> {
  return err({
    slug: "key-in-path",
    detail: 'Send "Authorization: Bearer ApiKey" to /ws/pub/Domain/Topic',
  });
}

/** The answer to a publisher's token where the domain takes none. */
export function refuseTokenPublisher(): Result<never, Problem> {
  return err({
    slug: "token-publishers-off",
    detail:
      'Publish with a key, or have the operator set the domain\'s policy: "wspubsub domains set --token-publishers true"',
  });
}

/** The one answer to every ticket that opens nothing. */
export function refuseTicket(): Result<never, Problem> {
  return err({
    slug: "ticket-rejected",
    detail: "Get a new ticket: each opens one topic in one role, once, for 30 seconds",
  });
}

function readTicket(text: string): Result<Credential, Problem> {
  return TICKET.test(text) ? ok({ type: "ticket", text }) : refuseTicket();
}

/** A key that could not be in the table is refused without asking the database. */
function readKey(text: string): Result<PresentedKey, Problem> {
  return faultOfKey(text) === null ? ok({ type: "key", text, isInPath: false }) : refuseKey();
}

function faultOfKey(key: string): string | null {
  if (/\p{Cc}/u.test(key)) return "contains a control character";
  return key.length > MAX_KEY_LENGTH ? `has more than ${MAX_KEY_LENGTH} characters` : null;
}

function decode(encoded: string): string | null {
  try {
    const bytes = Uint8Array.fromBase64(encoded, { alphabet: "base64url" });
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    // SyntaxError: not base64url. TypeError: not UTF-8.
    return null;
  }
}
