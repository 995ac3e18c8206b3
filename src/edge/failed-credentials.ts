/**
 * Counts credentials that open nothing, by client: who tries too many is refused for a while without the
 * database being asked. The counter is Cloudflare's, one a location, eventually consistent.
 */
import QuickLRU from "quick-lru";
import type { Problem } from "../core/problem.ts";
import type { Caller } from "./caller.ts";

/** How long a client that was over the limit is refused before it may try again. */
const BLOCK_MS = 10_000;
/** Clients; the library keeps up to twice as many. */
const MAX_CLIENTS = 10_000;

/** What the counter said last: it cannot be asked without counting. */
const blockedUntilMs: QuickLRU<string, number> = new QuickLRU({ maxSize: MAX_CLIENTS });

/** Whether a client has tried too much of late. */
export function isBlocked({ client }: Caller): boolean {
  return (blockedUntilMs.peek(client) ?? 0) > Date.now();
}

/** Counts a credential of a client that opened nothing. */
export async function countFailure({ env, client }: Caller): Promise<void> {
  const { success } = await env.FAILED_CREDENTIALS.limit({ key: client });
  if (!success) blockedUntilMs.set(client, Date.now() + BLOCK_MS);
}

/** The answer to a client that is blocked, whatever it presents. */
export const TOO_MANY_FAILURES: Problem = {
  slug: "too-many-requests",
  detail: "Too many credentials that open nothing came from this address: wait a minute",
};
