/** Carries out one action of a scenario. An action whose actor is not there does nothing. */
import { waitReally } from "../../support-in-workerd/real-time.ts";
import { ADVANCE_SECONDS, type Action, type Batch, type StorageFailure } from "./actions.ts";
import { end } from "./end.ts";
import { deleteTopic, finish } from "./end-at-once.ts";
import { abort, evict, restart } from "./intervene.ts";
import { jump } from "./jump.ts";
import { post, repost } from "./post.ts";
import { readPages } from "./read-pages.ts";
import { flood, oversize, publish, resend, reuse, streamPublisher } from "./send.ts";
import { settle } from "./settle.ts";
import type { World } from "./world.ts";

/** What is published while storage fails. */
const FATED: Batch = { messages: 3, kind: "text" };

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
      oversize(world, action);
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
      await evict(world);
      break;
    case "restart":
      await restart(world);
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
      await jump(world, action);
      break;
    case "end":
      await end(world, action);
      break;
    case "finish":
      await finish(world, action);
      break;
    case "delete":
      await deleteTopic(world, action);
      break;
    case "post":
      await post(world, action);
      break;
    case "repost":
      await repost(world, action);
      break;
    case "read-pages":
      await readPages(world, action);
      break;
    case "fail-storage":
      await failStorage(world, action);
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

/** Orders a failure, and may have it met at once: by a stream's `publish`, whose ack says where it is. */
async function failStorage(world: World, failure: StorageFailure): Promise<void> {
  if (!failure.isPublishedTo) {
    world.storage.order(failure);
    return;
  }
  await streamPublisher(world);
  world.storage.order(failure);
  publish(world, { type: "publish", by: 0, batches: [FATED], isChained: false });
}
