/** Carries out one action of a scenario. An action whose actor is not there does nothing. */
import { abortAllDurableObjects } from "cloudflare:test";
import { ADVANCE_SECONDS, type Action } from "./actions.ts";
import { waitReally } from "../../support-in-workerd/real-time.ts";
import { within } from "./deadline.ts";
import { settle } from "./settle.ts";
import type { World } from "./world.ts";

/** Performs an action. */
export async function perform(world: World, action: Action): Promise<void> {
  switch (action.type) {
    case "connect":
      await world.connect(action.protocol, action.takeover);
      break;
    case "publish":
      publish(world, action);
      break;
    case "resend":
      resend(world, action);
      break;
    case "oversize":
      world.quietEpoch = null;
      world.publisher(action.by)?.publish(world.publications.createOversize());
      world.happened("publisher-left");
      break;
    case "leave":
      world.publisher(action.by)?.leave();
      world.happened("publisher-left");
      break;
    case "subscribe":
      await world.subscribe(action);
      break;
    case "unsubscribe":
      world.subscriber(action.by)?.leave();
      break;
    case "read":
      world.subscriber(action.by)?.read();
      break;
    case "evict":
      await makeEvictable(world);
      world.happened("memory-lost");
      await world.topic.evict("hibernate");
      for (const client of world.allSubscribers) client.ackAnew();
      break;
    case "restart":
      await makeEvictable(world);
      await loseSockets(world, world.topic.evict("close"));
      break;
    case "abort":
      await abort(world, action.afterMs);
      break;
    case "alarm":
      for (let time = 0; time < action.times; time++) await world.topic.runAlarm();
      break;
    case "advance":
      world.clock.set(world.clock.nowMs + ADVANCE_SECONDS[action.by] * 1000);
      world.quietSeconds += ADVANCE_SECONDS[action.by];
      world.happened("time-passed");
      break;
    case "wait":
      await waitReally(action.ms);
      break;
    case "settle":
      await settle(world, action.protocol);
      break;
  }
}

function publish(world: World, { by, batches }: Extract<Action, { type: "publish" }>): void {
  const publisher = world.publisher(by);
  if (publisher === null) return;
  world.quietEpoch = null;
  for (const batch of batches) {
    if (publisher.protocol === "stream") {
      const publication = world.publications.create(batch);
      world.repeatable.push(publication);
      publisher.publish(publication);
    } else {
      for (let message = 0; message < batch.messages; message++) {
        publisher.publish(world.publications.create({ ...batch, messages: 1 }));
      }
    }
  }
}

function resend(world: World, { by, ago, times }: Extract<Action, { type: "resend" }>): void {
  const publisher = world.publisher(by);
  const publication = world.repeatable.at(-1 - ago);
  if (publisher?.protocol !== "stream" || publication === undefined) return;
  world.quietEpoch = null;
  for (let time = 0; time < times; time++) publisher.publish(publication);
}

/** Kills the object in the middle of what it does; storage keeps what was written. */
async function abort(world: World, afterMs: number): Promise<void> {
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

/** The runtime waits until nobody calls the object and no send of its waits for a reader. */
async function makeEvictable(world: World): Promise<void> {
  await Promise.all(world.background.splice(0));
  for (const client of world.allSubscribers) client.read();
}

/** Whoever was connected before is lost, and is told. */
async function loseSockets(world: World, operation: Promise<void>): Promise<void> {
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
