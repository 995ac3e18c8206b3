/** Uses a topic for a minute; what was changed by hand before is in force on it then (12.8). */
import { expectKeysOut } from "./checkers/keys-out.ts";
import { noteOwed } from "./checkers/history-kept.ts";
import { expectPolicyHolds } from "./checkers/policy-holds.ts";
import type { OperatorWorld } from "./operator-world.ts";
import { publish } from "./publish.ts";

const ROUNDS = 6;
const ROUND_SECONDS = 10;

/** Sends now and then for a minute, by whoever is there. */
export async function useTopic(world: OperatorWorld, number: number): Promise<void> {
  const site = world.site(number);
  const { store, force } = world;
  await world.drain();
  const keys = world.keys.map((keyId) => ({ keyId, index: store.statesOf(keyId).length - 1 }));
  const policy = store.policies.length - 1;
  const isInOrder = store.isUp && !world.isDisturbed;
  for (let round = 0; round <= ROUNDS; round++) {
    if (site.openPublishers.length === 0) return;
    await publish(world, site, 0, 1);
    await world.drain();
    await noteOwed(world, site);
    if (round < ROUNDS) await world.advance(ROUND_SECONDS);
  }
  if (!isInOrder) return;
  for (const { keyId, index } of keys) force.learnKey(number, keyId, index);
  // A policy that keeps less is believed when the key store was asked again, which it was.
  force.learnPolicy(number, policy);
  await expectKeysOut(world, site);
  await expectPolicyHolds(world, site);
  force.forgetKeys();
}
