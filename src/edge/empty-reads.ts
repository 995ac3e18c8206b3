/**
 * Counts reads that brought nothing, by client: a topic was asked for them, which costs as much as one that brings
 * messages. Only those without a credential count: a client whose credential opens is known to its domain.
 */
import type { Problem, ProblemSlug } from "../core/problem.ts";
import { err, type Result } from "../core/result.ts";
import type { Caller } from "./caller.ts";
import { ClientLimit } from "./client-limit.ts";
import type { Handshake } from "./handshake.ts";

const limit = new ClientLimit("EMPTY_READS");

/** What a topic, or its domain's policy, says to a read; nothing of it is the hub's own fault. */
const BROUGHT_NOTHING: readonly ProblemSlug[] = [
  "topic-not-live",
  "token-required",
  "too-many-subscribers",
  "topic-full",
  "too-many-waiting",
];

const TOO_MANY_READS: Problem = {
  slug: "too-many-requests",
  detail:
    "Too many reads without a credential that brought nothing came from this address: try again in a minute; to wait for messages, connect, or read with ?wait=",
};

/** Reads, and counts it if it brought nothing: `isEmpty` says so of what was read. Reads not, where there were too many. */
export async function countEmptyRead<T>(
  handshake: Handshake,
  caller: Caller,
  read: () => Promise<Result<T, Problem>>,
  isEmpty: (value: T) => boolean,
): Promise<Result<T, Problem>> {
  if (handshake.role === "publisher" || handshake.credential !== null) return read();
  if (limit.isOver(caller)) return err(TOO_MANY_READS);
  const result = await read();
  const isInVain = result.ok ? isEmpty(result.value) : BROUGHT_NOTHING.includes(result.error.slug);
  if (isInVain) await limit.count(caller);
  return result;
}
