/** A socket request from end to end: handshake, admission, and a refusal in the form that was asked for. */
import { admit } from "./admit.ts";
import { callerOf } from "./caller.ts";
import { answerRefusal } from "./explain.ts";
import { checkHandshake } from "./handshake.ts";
import { noteDomain, noteRefusal } from "./note-refusal.ts";

/** Answers a socket request with the topic's 101, or with a problem. */
export async function upgrade(
  request: Request,
  env: Env,
  ctx: Pick<ExecutionContext, "waitUntil">,
): Promise<Response> {
  const handshake = checkHandshake(request);
  const admitted = handshake.ok
    ? await admit(handshake.value, callerOf(request, env, ctx))
    : handshake;
  if (admitted.ok) {
    if (handshake.ok) noteDomain(handshake.value.address.domain);
    return admitted.value;
  }
  noteRefusal(request, env, admitted.error.slug);
  return answerRefusal(request, admitted.error);
}
