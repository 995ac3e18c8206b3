/** Carries out one action of a scenario. An action whose actor is not there does nothing. */
import { abortAllDurableObjects } from "cloudflare:test";
import { ADVANCE_SECONDS, JUMP_SECONDS, type Action } from "./actions.ts";
import { realNow, waitReally } from "../../support-in-workerd/real-time.ts";
import { within } from "./deadline.ts";
import { end } from "./end.ts";
import type { Publication } from "./publication.ts";
import { MAX_UNANSWERED, type PublisherConnection } from "./publisher-connection.ts";
import { settle } from "./settle.ts";
import type { World } from "./world.ts";

/** Performs an action. */
export async function perform(world: World, action: Action): Promise<void> {
  await carryOut(world, action);
  // The object may have died of it, or be about to.
  if (world.storage.arePending) world.happened("sockets-lost");
}

async function carryOut(world: World, action: Action): Promise<void> {
  switch (action.type) {
    case "connect":
      await world.connect(action.protocol, action.takeover, action.owner);
      break;
    case "publish":
      publish(world, action);
      break;
    case "resend":
      resend(world, action);
      break;
    case "oversize":
      oversize(world, action.by);
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
      world.passTime(ADVANCE_SECONDS[action.by]);
      break;
    case "jump":
      jump(world, JUMP_SECONDS[action.by]);
      break;
    case "end":
      await end(world, action);
      break;
    case "fail-storage":
      world.storage.order(action);
      break;
    case "reuse":
      reuse(world, action);
      break;
    case "flood":
      await flood(world, action);
      break;
    case "wait":
      await waitReally(action.ms);
      break;
    case "settle":
      await settle(world, action.protocol);
      break;
  }
}

function publish(
  world: World,
  { by, batches, isChained }: Extract<Action, { type: "publish" }>,
): void {
  const publisher = world.publisher(by);
  if (publisher === null) return;
  world.quietEpoch = null;
  for (const batch of batches) {
    if (publisher.protocol === "stream") {
      const publication = world.publications.create(batch, publisher.owner);
      world.repeatable.push(publication);
      publisher.publish(publication, isChained);
    } else {
      for (let message = 0; message < batch.messages; message++) {
        publisher.publish(world.publications.create({ ...batch, messages: 1 }, null));
      }
    }
  }
}

function resend(world: World, { by, ago, times }: Extract<Action, { type: "resend" }>): void {
  const publisher = world.publisher(by);
  const publication = repeatableBy(world, publisher).at(-1 - ago);
  if (publisher === null || publication === undefined) return;
  world.quietEpoch = null;
  for (let time = 0; time < times; time++) publisher.publish(publication);
}

/** What a publisher may send again: its own. */
function repeatableBy(world: World, publisher: PublisherConnection | null): Publication[] {
  if (publisher?.protocol !== "stream") return [];
  return world.repeatable.filter(({ owner }) => owner === publisher.owner);
}

function reuse(world: World, { by, ago, batch }: Extract<Action, { type: "reuse" }>): void {
  const publisher = world.publisher(by);
  const original = repeatableBy(world, publisher).at(-1 - ago);
  if (publisher === null || original === undefined) return;
  world.quietEpoch = null;
  publisher.publish(world.publications.createRival(original, batch));
}

/** Sends many at once; who is cut off comes back, and sends again as many as may be unanswered. */
async function flood(
  world: World,
  { by, count, cutAfterMs }: Extract<Action, { type: "flood" }>,
): Promise<void> {
  const publisher = world.publisher(by);
  if (publisher === null || publisher.owner === null) return;
  const { owner } = publisher;
  world.quietEpoch = null;
  const sent = Array.from({ length: count }, () => {
    return world.publications.create({ messages: 1, kind: "text" }, owner);
  });
  for (const publication of sent) publisher.publish(publication);
  if (cutAfterMs === null) return;
  await waitReally(cutAfterMs);
  await loseSockets(world, abortAllDurableObjects());
  // Its acks may have been lost, too.
  const successor = await world.connect("stream", true, owner);
  for (const publication of sent.slice(-MAX_UNANSWERED)) successor?.publish(publication);
}

function oversize(world: World, by: number): void {
  const publisher = world.publisher(by);
  world.quietEpoch = null;
  publisher?.publish(world.publications.createOversize(publisher.owner));
  world.happened("publisher-left");
}

/** Sets the clock, which never shows less than the real time. */
function jump(world: World, seconds: number): void {
  const fromMs = world.clock.nowMs;
  const toMs = fromMs + seconds * 1000;
  if (toMs < realNow()) return;
  if (seconds > 0) {
    world.passTime(seconds);
    return;
  }
  world.quietEpoch = null;
  world.clock.set(toMs);
  world.publications.setBack(fromMs, toMs);
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
