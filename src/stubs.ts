/**
 * Stubs of the hub's objects: the only place that makes any, for the edge and for calls between objects. The first
 * request for an object decides where it lives, for good, so every stub carries the deployment's place. Knows nothing
 * of what is called. Invariant: no stub leaves the jurisdiction that is set, whatever fails.
 */
import { objectName, type Address } from "./core/address.ts";
import { parsePlace, type Jurisdiction, type PlaceSettings } from "./core/place.ts";
import type { Domain } from "./domain/domain.ts";
import { logError } from "./log.ts";
import type { Topic } from "./topic/topic.ts";

/** The binding and the settings that stubs of a kind need. */
export type StubEnv<Binding extends "TOPIC" | "DOMAIN"> = Pick<Env, Binding> & PlaceSettings;

/** What workerd says instead of making a namespace: it has all objects on one machine. */
const NOT_IMPLEMENTED = /^Jurisdiction restrictions are not implemented/;

/** It is said once: the person that runs a hub on a machine of theirs knows where that is. */
let isSaid = false;

/** The topic of an address; throws where the place is set wrong. */
export function topicStub(env: StubEnv<"TOPIC">, address: Address): DurableObjectStub<Topic> {
  return stubOf(env.TOPIC, objectName(address), env);
}

/** A domain's object; throws where the place is set wrong. */
export function domainStub(env: StubEnv<"DOMAIN">, domain: string): DurableObjectStub<Domain> {
  return stubOf(env.DOMAIN, domain, env);
}

function stubOf<T extends Rpc.DurableObjectBranded>(
  namespace: DurableObjectNamespace<T>,
  name: string,
  settings: PlaceSettings,
): DurableObjectStub<T> {
  const place = parsePlace(settings);
  // Anywhere else the object would be another one, or one for good where it must not be.
  if (!place.ok) throw new Error(`Cannot place an object: ${place.error.join("; ")}`);
  const { region, jurisdiction } = place.value;
  const within = jurisdiction === null ? namespace : restrict(namespace, jurisdiction);
  return within.getByName(name, region === null ? {} : { locationHint: region });
}

function restrict<T extends Rpc.DurableObjectBranded>(
  namespace: DurableObjectNamespace<T>,
  jurisdiction: Jurisdiction,
): DurableObjectNamespace<T> {
  try {
    return namespace.jurisdiction(jurisdiction);
  } catch (error) {
    if (!(error instanceof Error) || !NOT_IMPLEMENTED.test(error.message)) throw error;
    if (!isSaid) logError({ event: "jurisdiction-ignored", jurisdiction });
    isSaid = true;
    return namespace;
  }
}
