/** Topic objects in tests: a fresh one for each, awake or out of memory. */
import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import type { Domain } from "../../../src/domain/domain.ts";
import type { Topic } from "../../../src/topic/topic.ts";

/** A topic of a domain that nobody else uses, and the domain. */
export function freshDomain(): {
  readonly domain: DurableObjectStub<Domain>;
  readonly topic: (name?: string) => DurableObjectStub<Topic>;
} {
  const name = `domain-${crypto.randomUUID()}`;
  return {
    domain: env.DOMAIN.getByName(name),
    topic: (topic = "topic") => env.TOPIC.getByName(`${name}/${topic}`),
  };
}

/** An address that nobody else uses. */
export function freshTopic(): DurableObjectStub<Topic> {
  return env.TOPIC.getByName(`test/${crypto.randomUUID()}`);
}

/** Makes sure the object is in memory. */
export function wake(topic: DurableObjectStub<Topic | Domain>): Promise<void> {
  return runInDurableObject(topic, () => {});
}

/** Takes the object out of memory; its sockets hibernate. */
export async function evict(topic: DurableObjectStub<Topic | Domain>): Promise<void> {
  await wake(topic);
  await evictDurableObject(topic);
}

/** Takes everything but storage away: sockets are lost, as in a crash. */
export async function crash(topic: DurableObjectStub<Topic>): Promise<void> {
  await wake(topic);
  await evictDurableObject(topic, { webSockets: "close" });
}
