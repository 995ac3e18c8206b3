/** A socket request from end to end: handshake, admission, and a refusal in the form that was asked for. */
import { admit } from "./admit.ts";
import { callerOf } from "./caller.ts";
import { answerRefusal } from "./explain.ts";
import { checkHandshake } from "./handshake.ts";

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
  return admitted.ok ? admitted.value : answerRefusal(request, admitted.error);
}
