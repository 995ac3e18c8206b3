/**
 * The admission of a socket: handshake checks, then the key store where it is needed, then the topic.
 * A subscriber of a live topic that presents no key never touches the database.
 */
import type { Admission, Refusal } from "../core/admission.ts";
import type { Address } from "../core/address.ts";
import { parseConfig } from "../core/config.ts";
import type { Policy } from "../core/policy.ts";
import type { Problem } from "../core/problem.ts";
import { err, ok, type Result } from "../core/result.ts";
import { logError } from "../log.ts";
import { explainRefusal, wantsExplanation } from "./explain.ts";
import {
  checkHandshake,
  refuseKey,
  type PresentedKey,
  type PublisherHandshake,
  type SubscriberHandshake,
} from "./handshake.ts";
import { joinTopic } from "./join-topic.ts";
import { hashKey } from "./key-hash.ts";
import { neonKeyStore, type KeyStore, type Unavailable } from "./key-store.ts";
import { problemResponse } from "./problem-response.ts";

/** Answers a socket request with the topic's 101, or with a problem in the form that was asked for. */
export async function upgrade(request: Request, env: Env): Promise<Response> {
  const admitted = await admit(request, env);
  if (admitted.ok) return admitted.value;
  return wantsExplanation(request)
    ? explainRefusal(request, admitted.error)
    : problemResponse(admitted.error);
}

async function admit(request: Request, env: Env): Promise<Result<Response, Problem>> {
  const handshake = checkHandshake(request);
  if (!handshake.ok) return handshake;
  switch (handshake.value.role) {
    case "publisher":
      return admitPublisher(handshake.value, env);
    case "subscriber":
      return admitSubscriber(handshake.value, env);
  }
}

async function admitPublisher(
  { role, address, subprotocol, options, key }: PublisherHandshake,
  env: Env,
): Promise<Result<Response, Problem>> {
  const policy = await checkKey(key, address, env);
  if (!policy.ok) return policy;
  return join(env, address, { v: 1, role, subprotocol, ...options, policy: policy.value });
}

async function admitSubscriber(
  { role, address, subprotocol, options, key }: SubscriberHandshake,
  env: Env,
): Promise<Result<Response, Problem>> {
  const admission = { v: 1, role, subprotocol, ...options } as const;
  // A credential that is presented and wrong is never a downgrade to nobody in particular.
  const granted = key === null ? ok(null) : await checkKey(key, address, env);
  if (!granted.ok) return granted;
  const joined = await joinTopic(env.TOPIC, address, { ...admission, policy: granted.value });
  if (joined.type === "joined") return ok(joined.response);
  if (joined.refusal !== "policy-needed") return err(refusalProblem(joined.refusal));

  const keyStore = openKeyStore(env);
  if (!keyStore.ok) return keyStore;
  const lookup = await keyStore.value.findPolicy(address.domain);
  if (lookup.type === "unavailable") return err(keyStoreUnavailable(lookup));
  return join(env, address, { ...admission, policy: lookup.policy });
}

/** Checks a key; the domain's policy comes with the grant. */
async function checkKey(
  key: PresentedKey,
  { domain }: Address,
  env: Env,
): Promise<Result<Policy, Problem>> {
  const keyStore = openKeyStore(env);
  if (!keyStore.ok) return keyStore;
  const check = await keyStore.value.checkKey(await hashKey(key.text), domain);
  switch (check.type) {
    case "denied":
      return refuseKey();
    case "unavailable":
      return err(keyStoreUnavailable(check));
    case "granted":
      if (!key.isInPath || check.policy.pathKeys) return ok(check.policy);
      return err({
        slug: "key-in-path",
        detail: 'Send "Authorization: Bearer ApiKey" to /ws/pub/Domain/Topic',
      });
  }
}

async function join(
  env: Env,
  address: Address,
  admission: Admission,
): Promise<Result<Response, Problem>> {
  const joined = await joinTopic(env.TOPIC, address, admission);
  return joined.type === "joined" ? ok(joined.response) : err(refusalProblem(joined.refusal));
}

/** Says what is missing to whoever asks: until it is repaired that is whoever set the hub up. */
function openKeyStore(env: Env): Result<KeyStore, Problem> {
  const config = parseConfig(env);
  if (config.ok) return ok(neonKeyStore(config.value.database));
  const detail = config.error.join("; ");
  logError({ event: "configuration-invalid", faults: detail });
  return err({ slug: "key-store-unavailable", detail });
}

function keyStoreUnavailable({ reason }: Unavailable): Problem {
  logError({ event: "key-store-unavailable", reason });
  return {
    slug: "key-store-unavailable",
    detail: "The key could not be checked, which says nothing about it: try again",
  };
}

function refusalProblem(refusal: Refusal): Problem {
  switch (refusal) {
    case "topic-not-live":
      return { slug: refusal, detail: "Wait until a publisher starts the topic, then try again" };
    case "publisher-conflict":
      return { slug: refusal, detail: "Try again when it has left, or displace it: ?takeover=1" };
    case "token-rejected":
      return { slug: refusal, detail: "Subscribers of this domain need a token" };
    case "topic-full":
      return { slug: refusal, detail: "Try again when other sockets have left" };
    case "policy-needed":
      // The object asks for the policy only while it was given none.
      throw new Error("Topic asked twice for the policy");
  }
}
