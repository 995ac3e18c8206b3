/** Nobody is left whose key is known to be off, or to be over (12.7, 12.8). */
import { Violation } from "../../violation.ts";
import { within } from "../../deadline.ts";
import type { OperatorWorld } from "../operator-world.ts";
import type { TopicSite } from "../topic-site.ts";
import { isOff } from "./was-dead.ts";

/** Waits until all are gone from a topic who must not be there, by what is in force on it. */
export async function expectKeysOut(world: OperatorWorld, site: TopicSite): Promise<void> {
  for (const { by, client } of site.guests) {
    if (typeof by !== "number" || !mustBeOut(world, site, by)) continue;
    await within(client.gone, () => `${client.name} by key ${by}, which is off, is there (12.7)`);
    if (client.isOpen) throw new Violation(`${client.name} by key ${by} is there (12.7)`);
  }
}

function mustBeOut(world: OperatorWorld, { number }: TopicSite, keyId: number): boolean {
  const { store, force, held, clock } = world;
  if (held.get(keyId) === true) return true;
  if (force.keyOn(number, keyId) !== store.statesOf(keyId).length - 1) return false;
  const endMs = store.statesOf(keyId).at(-1)?.expiresAtMs ?? Infinity;
  return isOff(world, keyId) || endMs <= clock.nowMs;
}
