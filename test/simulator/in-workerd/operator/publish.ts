/** Sends messages by somebody who is there. */
import type { OperatorWorld } from "./operator-world.ts";
import type { TopicSite } from "./topic-site.ts";

/** Sends by the publisher of an age, if there is one. */
export async function publish(
  world: OperatorWorld,
  site: TopicSite,
  by: number,
  messages: number,
): Promise<void> {
  const publisher = site.openPublishers.at(-1 - by)?.client;
  if (publisher === undefined) return;
  const { keys } = await site.publish(publisher, messages);
  world.observer.note(`${publisher.name} sent ${keys.join(", ")}`);
}
