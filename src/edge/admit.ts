/**
 * The admission of a socket, or of a post: the edge says what it knows, and the topic answers with the 101, with a refusal, or
 * with what must be known first. Owns the turns that they take. Invariants: they end, whatever a topic answers; a
 * ticket is used up by the 101 or by a refusal of its own, and by nothing else that can be known.
 */
import { WAITING_HEADER, type Admission, type Answer } from "../core/admission.ts";
import type { Problem, ProblemSlug } from "../core/problem.ts";
import { ok, type Result } from "../core/result.ts";
import { logError } from "../log.ts";
import type { Caller } from "./caller.ts";
import { checkPlace } from "./check-place.ts";
import { countEmptyRead } from "./empty-reads.ts";
import { countFailure } from "./failed-credentials.ts";
import type { Handshake } from "./handshake.ts";
import { joinTopic } from "./join-topic.ts";
import { learn, prepare } from "./prepare-admission.ts";
import { refuse } from "./refusal.ts";

/** A topic needs a policy, then a recheck, and its domain may change in between once. */
const MAX_TURNS = 4;

/** What is wrong with a ticket that could be taken: its key is dead, or in doubt, or its token has ended. */
const OF_THE_TICKET: readonly ProblemSlug[] = ["key-rejected", "ticket-rejected", "token-expired"];

/** How a topic is asked: what it gives to whoever it lets in, or its answer. */
export type Ask<T> = (admission: Admission) => Promise<Asked<T> | Answer>;

/** What a topic gives to whoever it lets in. */
export interface Asked<T> {
  readonly type: "admitted";
  readonly value: T;
}

/** What a socket will bring, nobody can know here, but that one that waits is given nothing. */
const isEmpty = ({ headers }: Response): boolean => headers.has(WAITING_HEADER);

/** Asks a topic until it takes the socket or does not. */
export function admit(handshake: Handshake, caller: Caller): Promise<Result<Response, Problem>> {
  return countEmptyRead(handshake, caller, () => admitCounted(handshake, caller), isEmpty);
}

async function admitCounted(
  handshake: Handshake,
  caller: Caller,
): Promise<Result<Response, Problem>> {
  const place = checkPlace(caller.env);
  if (!place.ok) return place;
  const prepared = await prepare(handshake, caller);
  if (!prepared.ok) return prepared;
  const { admission, giveBack } = prepared.value;
  const ask: Ask<Response> = (said) => joinTopic(caller.env, handshake.address, said);
  if (giveBack === null) return takeTurns(handshake, caller, admission, ask);
  let isUsedUp = false;
  try {
    const admitted = await takeTurns(handshake, caller, admission, ask);
    isUsedUp = admitted.ok || OF_THE_TICKET.includes(admitted.error.slug);
    return admitted;
  } finally {
    // Before the answer: the client that gets it may try the same ticket at once.
    if (!isUsedUp) await giveBack();
  }
}

/** The turns themselves, from what is said first on. */
export async function takeTurns<T>(
  handshake: Handshake,
  caller: Caller,
  first: Admission,
  ask: Ask<T>,
): Promise<Result<T, Problem>> {
  let prepared: Result<Admission, Problem> = ok(first);
  for (let turn = 1; prepared.ok; turn += 1) {
    const asked = await ask(prepared.value);
    switch (asked.type) {
      case "admitted":
        return ok(asked.value);
      case "refused":
        if (asked.slug === "key-rejected") await countFailure(caller);
        return refuse(asked.slug);
      case "needs":
        if (turn === MAX_TURNS) {
          logError({ event: "admission-endless", needs: asked.what });
          return refuse("topic-unavailable");
        }
        prepared = await learn(handshake, caller, prepared.value, asked.what);
    }
  }
  return prepared;
}
