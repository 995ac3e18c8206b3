/**
 * The admission of a socket: the edge says what it knows, and the topic answers with the 101, with a refusal, or
 * with what must be known first. Owns the turns that they take. Invariants: they end, whatever a topic answers; a
 * ticket is used up by the 101 or by a refusal of its own, and by nothing else that can be known.
 */
import type { Admission } from "../core/admission.ts";
import type { Problem, ProblemSlug } from "../core/problem.ts";
import { ok, type Result } from "../core/result.ts";
import { logError } from "../log.ts";
import type { Caller } from "./caller.ts";
import { checkPlace } from "./check-place.ts";
import { countFailure } from "./failed-credentials.ts";
import type { Handshake } from "./handshake.ts";
import { joinTopic } from "./join-topic.ts";
import { learn, prepare } from "./prepare-admission.ts";
import { refuse } from "./refusal.ts";

/** A topic needs a policy, then a recheck, and its domain may change in between once. */
const MAX_TURNS = 4;

/** What is wrong with a ticket that could be taken: its key is dead, or in doubt, or its token has ended. */
const OF_THE_TICKET: readonly ProblemSlug[] = ["key-rejected", "ticket-rejected", "token-expired"];

/** Asks a topic until it takes the socket or does not. */
export async function admit(
  handshake: Handshake,
  caller: Caller,
): Promise<Result<Response, Problem>> {
  const place = checkPlace(caller.env);
  if (!place.ok) return place;
  const prepared = await prepare(handshake, caller);
  if (!prepared.ok) return prepared;
  const { admission, giveBack } = prepared.value;
  if (giveBack === null) return askTopic(handshake, caller, admission);
  let isUsedUp = false;
  try {
    const admitted = await askTopic(handshake, caller, admission);
    isUsedUp = admitted.ok || OF_THE_TICKET.includes(admitted.error.slug);
    return admitted;
  } finally {
    // Before the answer: whoever gets it may try the same ticket at once.
    if (!isUsedUp) await giveBack();
  }
}

async function askTopic(
  handshake: Handshake,
  caller: Caller,
  first: Admission,
): Promise<Result<Response, Problem>> {
  let prepared: Result<Admission, Problem> = ok(first);
  for (let turn = 1; prepared.ok; turn += 1) {
    const joined = await joinTopic(caller.env, handshake.address, prepared.value);
    switch (joined.type) {
      case "admitted":
        return ok(joined.response);
      case "refused":
        if (joined.slug === "key-rejected") await countFailure(caller);
        return refuse(joined.slug);
      case "needs":
        if (turn === MAX_TURNS) {
          logError({ event: "admission-endless", needs: joined.what });
          return refuse("topic-unavailable");
        }
        prepared = await learn(handshake, caller, prepared.value, joined.what);
    }
  }
  return prepared;
}
