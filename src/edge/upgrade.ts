/**
 * The admission of a socket: handshake checks, then the key store where it is needed, then the topic.
 * A subscriber of a live topic never touches the database.
 */
import type { Refusal } from "../core/admission.ts";
import { parseConfig } from "../core/config.ts";
import type { Problem } from "../core/problem.ts";
import { ok, type Result } from "../core/result.ts";
import { logError } from "../log.ts";
import { checkHandshake, type PublisherHandshake, type SubscriberHandshake } from "./handshake.ts";
import { joinTopic } from "./join-topic.ts";
import { hashKey } from "./key-hash.ts";
import { neonKeyStore, type KeyStore, type Unavailable } from "./key-store.ts";
import { problemResponse } from "./problem-response.ts";

/** Answers a socket request with the topic's 101 or with a problem. */
export async function upgrade(request: Request, env: Env): Promise<Response> {
  const handshake = checkHandshake(request);
  if (!handshake.ok) return problemResponse(handshake.error);
  switch (handshake.value.role) {
    case "publisher":
      return admitPublisher(handshake.value, env);
    case "subscriber":
      return admitSubscriber(handshake.value, env);
  }
}

async function admitPublisher(handshake: PublisherHandshake, env: Env): Promise<Response> {
  const { address, protocol, options, apiKey } = handshake;
  const keyStore = openKeyStore(env);
  if (!keyStore.ok) return configurationInvalid(keyStore.error);
  const check = await keyStore.value.checkKey(await hashKey(apiKey), address.domain);
  switch (check.type) {
    case "denied":
      return problemResponse({
        slug: "key-rejected",
        detail: "The key is unknown, inactive, or belongs to another domain",
      });
    case "unavailable":
      return keyStoreUnavailable(check);
    case "granted": {
      const { policy } = check;
      const joined = await joinTopic(env.TOPIC, address, {
        v: 1,
        role: "publisher",
        protocol,
        ...options,
        policy,
      });
      return joined.type === "joined" ? joined.response : refused(joined.refusal);
    }
  }
}

async function admitSubscriber(handshake: SubscriberHandshake, env: Env): Promise<Response> {
  const { role, address, protocol, options } = handshake;
  const admission = { v: 1, role, protocol, ...options } as const;
  const joined = await joinTopic(env.TOPIC, address, { ...admission, policy: null });
  if (joined.type === "joined") return joined.response;
  if (joined.refusal !== "policy-needed") return refused(joined.refusal);

  const keyStore = openKeyStore(env);
  if (!keyStore.ok) return configurationInvalid(keyStore.error);
  const lookup = await keyStore.value.findPolicy(address.domain);
  if (lookup.type === "unavailable") return keyStoreUnavailable(lookup);
  const { policy } = lookup;
  const retried = await joinTopic(env.TOPIC, address, { ...admission, policy });
  return retried.type === "joined" ? retried.response : refused(retried.refusal);
}

function openKeyStore(env: Env): Result<KeyStore, string[]> {
  const config = parseConfig(env);
  return config.ok ? ok(neonKeyStore(config.value.database)) : config;
}

/** Says what is missing to whoever asks: until it is repaired that is whoever set the hub up. */
function configurationInvalid(faults: readonly string[]): Response {
  const detail = faults.join("; ");
  logError({ event: "configuration-invalid", faults: detail });
  return problemResponse({ slug: "key-store-unavailable", detail });
}

function keyStoreUnavailable({ reason }: Unavailable): Response {
  logError({ event: "key-store-unavailable", reason });
  return problemResponse({
    slug: "key-store-unavailable",
    detail: "The key could not be checked, which says nothing about it: try again",
  });
}

function refused(refusal: Refusal): Response {
  return problemResponse(refusalProblem(refusal));
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
