/** What the platform does to the topic's object in a scenario, and what its clients are told of it. */
import { abortAllDurableObjects } from "cloudflare:test";
import { waitReally } from "../../support-in-workerd/real-time.ts";
import { within } from "./deadline.ts";
import type { World } from "./world.ts";

/** Takes the object out of memory; its sockets hibernate. Whether it is out: a busy one may not be in time. */
export async function evict(world: World): Promise<boolean> {
  await makeEvictable(world);
  world.happened("memory-lost");
  const isOut = await world.topic.evict("hibernate");
  for (const client of world.allSubscribers) client.ackAnew(isOut);
  return isOut;
}

/** The same, but its sockets are lost. */
export async function restart(world: World): Promise<void> {
  await makeEvictable(world);
  await loseSockets(world, world.topic.evict("close"));
}

/** Kills the object in the middle of what it does; storage keeps what was written. */
export async function abort(world: World, afterMs: number): Promise<void> {
  if (afterMs === 0) {
    await loseSockets(world, abortAllDurableObjects());
    return;
  }
  const kill = async (): Promise<void> => {
    await waitReally(afterMs);
    world.happened("sockets-lost");
    await abortAllDurableObjects();
    world.happened("sockets-lost");
  };
  world.background.push(kill());
}

/** Whoever was connected before is lost, and is told. */
export async function loseSockets(world: World, operation: Promise<unknown>): Promise<void> {
  const clients = [
    ...world.allPublishers,
    ...world.allSubscribers.filter(({ isReading }) => isReading),
  ];
  world.happened("sockets-lost");
  await operation;
  world.happened("sockets-lost");
  for (const client of clients) {
    await within(client.gone, () => `${client.name} was not told that it is lost (5.8)`);
  }
  await world.watch();
}

/** The runtime waits until nobody calls the object and no send of its waits for a reader. */
async function makeEvictable(world: World): Promise<void> {
  await Promise.all(world.background.splice(0));
  for (const client of world.allSubscribers) client.read();
}
