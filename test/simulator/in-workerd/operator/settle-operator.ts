/**
 * Brings a domain to rest: all that was to fail is over, everybody can be reached, and what is owed arrives. Then
 * checks what must hold.
 */
import { within } from "../deadline.ts";
import { Violation } from "../violation.ts";
import { noteOwed } from "./checkers/history-kept.ts";
import { expectKeysOut } from "./checkers/keys-out.ts";
import { expectPolicyHolds } from "./checkers/policy-holds.ts";
import { expectRevocationsDelivered } from "./checkers/revocations-delivered.ts";
import type { OperatorWorld } from "./operator-world.ts";
import type { TopicSite } from "./topic-site.ts";

/** The longest that an alarm waits which has failed some times. */
const BACKOFF_SECONDS = 140;
/** The time between two tries where nothing fails. */
const RETRY_SECONDS = 11;
/** More publishers than there are on a topic by keys that nobody has looked at. */
const MAX_MARKERS = 10;
/** More than enough for whatever waits. */
const MAX_ROUNDS = 20;

/** Settles; throws a violation where something does not hold. */
export async function settleOperator(world: OperatorWorld): Promise<void> {
  await world.releaseSlow();
  for (const fault of world.disorders.splice(0)) fault.stop();
  world.store.isUp = true;
  await world.drain();
  await deliver(world);
  for (const [keyId, index] of world.toldKeys) raise(world, keyId, index);
  for (const keyId of world.keys) raise(world, keyId, world.desk.reportedOf(keyId));
  for (const { number } of world.sites) world.force.raisePolicy(number, world.toldPolicy);
  expectRevocationsDelivered(world);
  world.isDisturbed = false;
  for (const site of world.sites) {
    await expectKeysOut(world, site);
    await expectPolicyHolds(world, site);
  }
  await world.drain();
  for (const site of world.sites) await mark(world, site);
  world.observer.check();
}

/** Waits until the domain owes nobody anything. */
async function deliver(world: OperatorWorld): Promise<void> {
  await world.advance(world.isDisturbed ? BACKOFF_SECONDS : RETRY_SECONDS);
  for (let round = 0; ; round++) {
    const owing = await world.domain.owing();
    if (owing.length === 0) return;
    if (round === MAX_ROUNDS) {
      throw new Violation(
        `Everybody can be reached, and the domain still has: ${owing.join(", ")}`,
      );
    }
    await world.advance(RETRY_SECONDS);
  }
}

function raise({ force, sites }: OperatorWorld, keyId: number, index: number): void {
  for (const { number } of sites) force.raiseKey(number, keyId, index);
}

/** Publishes a marker that everybody who is there must see. */
export async function mark(world: OperatorWorld, site: TopicSite): Promise<void> {
  for (let attempt = 0; attempt < MAX_MARKERS; attempt++) {
    const publisher = site.openPublishers.at(-1)?.client;
    if (publisher === undefined) return;
    const key = (await site.publish(publisher, 1)).keys.join("");
    world.observer.note(`marker "${key}" on topic ${site.number} by ${publisher.name}`);
    const arrived = Promise.all([
      within(publisher.answered(), () => `${publisher.name} got no answer (10.8)`),
      ...site.openSubscribers.map(({ client }) =>
        within(client.reached(key), () => `${client.name} did not see "${key}" (6.3)`),
      ),
    ]);
    // The key may be looked at for the marker's sake, and be found dead.
    await Promise.race([arrived, publisher.gone, world.observer.failure]);
    world.observer.check();
    await noteOwed(world, site);
    if (publisher.isOpen) return;
    await world.drain();
  }
  throw new Violation(`${MAX_MARKERS} times publishers were closed`);
}
