/**
 * What a refused request may leave in the log: its slug, domain and country. Owns which domain may be shown, since
 * names are strangers' to make up, and a key may stand where the domain should.
 */
import QuickLRU from "quick-lru";
import { MAX_DOMAIN_LENGTH, parseDomain } from "../core/address.ts";
import type { ProblemSlug } from "../core/problem.ts";
import { parseOffer } from "../core/subprotocol.ts";
import { countryOf } from "./country.ts";
import { findCredential } from "./credential.ts";
import { knowsDomain } from "./open-key-store.ts";
import { RefusalLog } from "./refusal-log.ts";
import { matchSocketRoute } from "./socket-route.ts";

/** Domains that are remembered because somebody was let in; the library keeps up to twice as many. */
const MAX_DOMAINS = 2000;
/** Characters that are shown of a text that may be a key, as `apikeys.key_hint` does. */
const HINT_LENGTH = 4;
/** A text that is shorter is not shown at all: its beginning would be too much of it. */
const MIN_HINTED_LENGTH = 3 * HINT_LENGTH;

const log = new RefusalLog();
const domainsInUse: QuickLRU<string, true> = new QuickLRU({ maxSize: MAX_DOMAINS });

/** Counts a refusal, and logs it while there are few. */
export function noteRefusal(request: Request, env: Env, slug: ProblemSlug): void {
  log.add({ slug, domain: domainToShow(request, env), country: countryOf(request) });
}

/** Remembers that a domain is one, since it let somebody in. */
export function noteDomain(domain: string): void {
  domainsInUse.set(domain, true);
}

/** Has refusals that were counted, and not logged, told of in the end. */
export function seeToRefusals(ctx: Pick<ExecutionContext, "waitUntil">): void {
  log.seeTo((work) => ctx.waitUntil(work));
}

function domainToShow(request: Request, env: Env): string | null {
  const segment = domainSegment(new URL(request.url).pathname);
  const parsed = segment === null ? null : parseDomain(segment);
  if (parsed?.ok !== true) return null;
  const { value } = parsed;
  const isSafe = domainsInUse.has(value) || knowsDomain(env, value) || hasItsKey(request, value);
  return isSafe ? printable(value) : hintOf(value);
}

/** The segment of a path that is, or should be, the domain. */
function domainSegment(pathname: string): string | null {
  const [, inDomain] = /^\/v1\/domains\/([^/]*)/.exec(pathname) ?? [];
  return inDomain ?? matchSocketRoute(pathname)?.rawDomain ?? null;
}

/** Whether a request has a credential beside the path: then none stands in the path by mistake. */
function hasItsKey({ headers }: Request, domain: string): boolean {
  const { credentials } = parseOffer(headers.get("Sec-WebSocket-Protocol"));
  const found = findCredential({
    authorization: headers.get("Authorization"),
    encoded: credentials,
  });
  return found.ok && found.value !== null && found.value !== domain;
}

/** No more than people need to recognize their own. */
function hintOf(text: string): string {
  const characters = Array.from(text);
  if (characters.length < MIN_HINTED_LENGTH) return "…";
  return printable(`${characters.slice(0, HINT_LENGTH).join("")}…`);
}

/** One line of what a terminal shows as it is: no control characters, no changes of direction, no line's end. */
function printable(text: string): string {
  return Array.from(text.replaceAll(/[\p{C}\p{Zl}\p{Zp}]/gu, "\u{FFFD}"))
    .slice(0, MAX_DOMAIN_LENGTH)
    .join("");
}
