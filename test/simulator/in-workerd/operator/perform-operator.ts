/** Carries out one action of the operator's scenarios. An action whose actor is not there does nothing. */
import { abortAllDurableObjects, runDurableObjectAlarm } from "cloudflare:test";
import {
  failNextAlarm,
  failNextCall,
  failNextWrite,
  holdNextCall,
} from "../../../support-in-workerd/faults.ts";
import type { Fault } from "../../../support-in-workerd/fault-table.ts";
import { waitReally } from "../../../support-in-workerd/real-time.ts";
import { orDeath } from "../topic-handle.ts";
import type { Disorder, Join, OperatorAction, Telling } from "./actions.ts";
import type { OperatorWorld } from "./operator-world.ts";
import { publish } from "./publish.ts";
import { settleOperator } from "./settle-operator.ts";
import type { TopicSite } from "./topic-site.ts";
import { useTopic } from "./use-topic.ts";

/** What an operator may do while a handshake waits. */
const MEANWHILE: readonly OperatorAction["type"][] = [
  "change-key",
  "change-policy",
  "deliver",
  "revoke",
];

/** Performs an action. */
export async function performOperator(world: OperatorWorld, action: OperatorAction): Promise<void> {
  const { slow } = world;
  if (slow !== null && !MEANWHILE.includes(action.type)) await world.releaseSlow();
  await perform(world, action);
  if (slow !== null && slow === world.slow) await world.releaseSlow();
  await world.drain();
}

async function perform(world: OperatorWorld, action: OperatorAction): Promise<void> {
  switch (action.type) {
    case "publisher":
    case "subscriber":
      await join(world, action);
      break;
    case "publish":
      await publish(world, world.site(action.topic), action.by, action.messages);
      break;
    case "leave": {
      const site = world.site(action.topic);
      const guests = action.role === "publisher" ? site.openPublishers : site.openSubscribers;
      guests.at(-1 - action.by)?.client.leave();
      break;
    }
    case "change-key": {
      const { key, edit } = action;
      world.store.edit(key, edit);
      await tell(world, action.tell, () => {
        const answer = world.store.askKey(key);
        return () => world.tellKey(key, answer);
      });
      break;
    }
    case "change-policy":
      world.store.setPolicy(action.policy);
      await tell(world, action.tell, () => {
        const answer = world.store.askPolicy();
        return () => world.tellPolicy(answer);
      });
      break;
    case "deliver":
      await world.late.shift()?.();
      break;
    case "revoke":
      await world.revoke(action.key);
      break;
    case "key-store":
      world.store.isUp = action.isUp;
      break;
    case "disorder":
      world.isDisturbed = true;
      world.disorders.push(order(world, action.disorder));
      break;
    case "evict":
      await evict(world, action);
      break;
    case "abort":
      await losingSockets(world, world.sites, () => abortAllDurableObjects());
      break;
    case "alarm":
      await fire(world, action.who);
      break;
    case "ticket":
      await ticket(world, action);
      break;
    case "advance":
      await world.advance(action.seconds);
      break;
    case "use":
      await useTopic(world, action.topic);
      break;
    case "settle":
      await settleOperator(world);
      break;
  }
}

async function join(world: OperatorWorld, wish: Join): Promise<void> {
  if (!wish.isSlow) {
    await world.join(wish);
    return;
  }
  const held = holdNextCall(world.domain.stub, { method: "enter", what: "answer" });
  const isDone = world.observer.watchAsync("a slow handshake", async () => {
    await world.join(wish);
  });
  world.slow = { isDone, release: () => held.release() };
  await waitReally(2);
}

/** Brings what the key store says to the domain, now, later or not at all. */
async function tell(
  world: OperatorWorld,
  telling: Telling,
  read: () => () => Promise<void>,
): Promise<void> {
  // The operator's tool writes to the key store itself: without that it can read nothing.
  if (telling === "never" || !world.store.isUp) return;
  const hand = read();
  if (telling === "late") world.late.push(hand);
  else await hand();
}

function order(world: OperatorWorld, disorder: Disorder): Fault {
  switch (disorder.type) {
    case "unreachable": {
      const { who, times, isDelivered, breaksStub } = disorder;
      return failNextCall(stubOf(world, who), { times, isDelivered, breaksStub });
    }
    case "write": {
      const { after, times, isFatal } = disorder;
      // What is written without being waited for breaks the output gate, of which the object dies.
      const method = isFatal ? {} : { method: "kv.put" };
      return failNextWrite(world.domain.stub, { ...method, after, times, isFatal });
    }
    case "alarm": {
      const { who, times, isDone } = disorder;
      return failNextAlarm(stubOf(world, who), { times, isDone });
    }
  }
}

function stubOf(world: OperatorWorld, who: "domain" | number): DurableObjectStub {
  return who === "domain" ? world.domain.stub : world.site(who).stub;
}

async function evict(
  world: OperatorWorld,
  { who, sockets }: Extract<OperatorAction, { type: "evict" }>,
): Promise<void> {
  await world.drain();
  if (who !== "domain") world.force.forget(who);
  if (who === "domain") await world.domain.evict();
  else if (sockets === "hibernate") await world.site(who).topic.evict("hibernate");
  else {
    const site = world.site(who);
    await losingSockets(world, [site], () => site.topic.evict("close"));
  }
}

async function losingSockets(
  world: OperatorWorld,
  sites: readonly TopicSite[],
  lose: () => Promise<unknown>,
): Promise<void> {
  await world.drain();
  const guests = sites.flatMap((site) => site.guests);
  for (const site of sites) {
    site.mayLoseSockets = true;
    site.desertions++;
  }
  await lose();
  await Promise.all(guests.map(({ client }) => Promise.race([client.gone, waitReally(2000)])));
  await world.drain();
  for (const site of sites) site.mayLoseSockets = false;
}

async function fire(world: OperatorWorld, who: "domain" | number): Promise<void> {
  if (who === "domain") await world.domain.runAlarm();
  else await orDeath(() => runDurableObjectAlarm(world.site(who).stub), false).catch(() => false);
}

async function ticket(
  world: OperatorWorld,
  { topic, isUsed }: Extract<OperatorAction, { type: "ticket" }>,
): Promise<void> {
  const grant = {
    keyId: null,
    subject: "someone",
    expiresAtMs: null,
    checkedAtMs: world.store.nowMs,
  };
  const hash = crypto.randomUUID();
  const name = `topic-${topic}`;
  try {
    await world.domain.stub.issueTicket(hash, name, grant);
    if (isUsed) await world.domain.stub.takeTicket(hash, name);
  } catch (error) {
    if (!world.isDisturbed) throw error;
  }
}
