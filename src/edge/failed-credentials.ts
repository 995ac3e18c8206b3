/**
 * Counts credentials that open nothing, by client: one that tries too many is refused for a while, without a question
 * to the database.
 */
import type { Problem } from "../core/problem.ts";
import type { Caller } from "./caller.ts";
import { ClientLimit } from "./client-limit.ts";

const limit = new ClientLimit("FAILED_CREDENTIALS");

/** Whether a client has tried too much of late. */
export function isBlocked(caller: Caller): boolean {
  return limit.isOver(caller);
}

/** Counts a credential of a client that opened nothing. */
export function countFailure(caller: Caller): Promise<void> {
  return limit.count(caller);
}

/** The answer to a client that is blocked, whatever it presents. */
export const TOO_MANY_FAILURES: Problem = {
  slug: "too-many-requests",
  detail: "Too many credentials that open nothing came from this address: wait a minute",
};
