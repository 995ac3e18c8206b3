/**
 * The admission of a socket: handshake checks, then the credential where there is one, then the topic. A
 * subscriber of a live topic that presents no credential never touches the database.
 */
import type { Refusal } from "../core/admission.ts";
import type { Address } from "../core/address.ts";
import type { Policy } from "../core/policy.ts";
import type { Problem } from "../core/problem.ts";
import { err, ok, type Result } from "../core/result.ts";
import { callerOf, type Caller } from "./caller.ts";
import { checkCredential, checkKey, forgetKey } from "./check-credential.ts";
import { refuseTicket } from "./credential.ts";
import { explainRefusal, wantsExplanation } from "./explain.ts";
import {
  checkHandshake,
  type Handshake,
  type PublisherHandshake,
  type SubscriberHandshake,
} from "./handshake.ts";
import { joinTopic, type Joined } from "./join-topic.ts";
import { keyStoreUnavailable, openKeyStore } from "./open-key-store.ts";
import { problemResponse } from "./problem-response.ts";

/** Answers a socket request with the topic's 101, or with a problem in the form that was asked for. */
export async function upgrade(
  request: Request,
  env: Env,
  ctx: Pick<ExecutionContext, "waitUntil">,
): Promise<Response> {
  const handshake = checkHandshake(request);
  const admitted = handshake.ok
    ? await admit(handshake.value, callerOf(request, env, ctx))
    : handshake;
  if (admitted.ok) return admitted.value;
  return wantsExplanation(request)
    ? explainRefusal(request, admitted.error)
    : problemResponse(admitted.error);
}

async function admit(handshake: Handshake, caller: Caller): Promise<Result<Response, Problem>> {
  const first = await tryOnce(handshake, caller, false);
  if (!first.ok || first.value.type === "joined" || first.value.refusal !== "key-stale") {
    return first.ok ? answer(first.value) : first;
  }
  // The key was revoked since it was checked, maybe out of a cache: ask again, and then believe the answer.
  const key = handshake.role === "publisher" ? handshake.key : handshake.credential;
  if (key?.type !== "key") return refuseTicket();
  await forgetKey(caller, key, handshake.address.domain);
  const second = await tryOnce(handshake, caller, true);
  return second.ok ? answer(second.value) : second;
}

function tryOnce(
  handshake: Handshake,
  caller: Caller,
  isRechecked: boolean,
): Promise<Result<Joined, Problem>> {
  switch (handshake.role) {
    case "publisher":
      return admitPublisher(handshake, caller, isRechecked);
    case "subscriber":
      return admitSubscriber(handshake, caller, isRechecked);
  }
}

async function admitPublisher(
  { role, address, subprotocol, options, key }: PublisherHandshake,
  caller: Caller,
  isRechecked: boolean,
): Promise<Result<Joined, Problem>> {
  const checked = await checkKey(caller, key, address.domain);
  if (!checked.ok) return checked;
  const admission = { v: 1, role, subprotocol, ...options, ...checked.value, isRechecked } as const;
  return ok(await joinTopic(caller.env.TOPIC, address, admission));
}

async function admitSubscriber(
  { role, address, subprotocol, options, credential }: SubscriberHandshake,
  caller: Caller,
  isRechecked: boolean,
): Promise<Result<Joined, Problem>> {
  // A credential that is presented and wrong is never a downgrade to nobody in particular.
  const checked =
    credential === null
      ? ok({ grant: null, policy: null })
      : await checkCredential(caller, credential, address);
  if (!checked.ok) return checked;
  const admission = { v: 1, role, subprotocol, ...options, ...checked.value, isRechecked } as const;
  const joined = await joinTopic(caller.env.TOPIC, address, admission);
  if (joined.type === "joined" || joined.refusal !== "policy-needed") return ok(joined);
  const policy = await findPolicy(caller, address);
  if (!policy.ok) return policy;
  return ok(await joinTopic(caller.env.TOPIC, address, { ...admission, policy: policy.value }));
}

async function findPolicy(caller: Caller, { domain }: Address): Promise<Result<Policy, Problem>> {
  const keyStore = openKeyStore(caller.env);
  if (!keyStore.ok) return keyStore;
  const lookup = await keyStore.value.findDomain(domain, caller.keepAlive);
  return lookup.type === "found" ? ok(lookup.policy) : err(keyStoreUnavailable(lookup));
}

function answer(joined: Joined): Result<Response, Problem> {
  return joined.type === "joined" ? ok(joined.response) : err(refusalProblem(joined.refusal));
}

function refusalProblem(refusal: Refusal): Problem {
  switch (refusal) {
    case "topic-not-live":
      return { slug: refusal, detail: "Wait until a publisher starts the topic, then try again" };
    case "publisher-conflict":
      return { slug: refusal, detail: "Try again when it has left, or displace it: ?takeover=1" };
    case "token-required":
      return { slug: refusal, detail: 'Send "Authorization: Bearer Token"' };
    case "too-many-publishers":
    case "too-many-subscribers":
    case "topic-full":
      return { slug: refusal, detail: "Try again when other sockets have left" };
    case "topic-unavailable":
      return { slug: refusal, detail: "Try again in a few seconds" };
    case "policy-needed":
    case "key-stale":
      // The object asks for the policy while it was given none, and for a check while it was promised none.
      throw new Error(`Topic asked twice: ${refusal}`);
  }
}
