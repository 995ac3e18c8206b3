/**
 * Counts domains that somebody had the key store asked for and that nobody knows, by client: names cost nothing to make
 * up, a query does. Apart from failed credentials: a client that presents none has failed at nothing.
 */
import type { Problem } from "../core/problem.ts";
import type { Caller } from "./caller.ts";
import { ClientLimit } from "./client-limit.ts";

const limit = new ClientLimit("FUTILE_LOOKUPS");

/** Whether a client has asked for too many of late. */
export function mayNotLookUp(caller: Caller): boolean {
  return limit.isOver(caller);
}

/** Counts a query of a client's for a domain that nobody knows. */
export function countFutileLookup(caller: Caller): Promise<void> {
  return limit.count(caller);
}

/** The answer to a client that is over the limit where the key store would have to be asked. */
export const TOO_MANY_LOOKUPS: Problem = {
  slug: "too-many-requests",
  detail: "Too many domains that do not exist were asked for from this address: wait a minute",
};
