/** Whether a key opened nothing, by the key store's history. */
import type { OperatorWorld } from "../operator-world.ts";
import { TOLERANCE_MS } from "./tolerance.ts";

/** Whether a key may have been found dead by somebody who asked at a time or later, within the tolerance. */
export function wasDeadSince(world: OperatorWorld, keyId: number, sinceMs: number): boolean {
  if (world.held.has(keyId) || world.maybeHeld.has(keyId)) return true;
  const { store } = world;
  const states = store.statesOf(keyId);
  return states.some(({ isActive, isRevoked, expiresAtMs }, index) => {
    const untilMs = states[index + 1]?.sinceMs ?? Infinity;
    if (untilMs < sinceMs - TOLERANCE_MS) return false;
    const overMs = Math.min(untilMs, laterClock(world));
    return !isActive || isRevoked || (expiresAtMs !== null && expiresAtMs <= overMs);
  });
}

/** Whether an end has passed that a key has, or had and that may still be believed on a topic. */
export function hasEnded(world: OperatorWorld, topic: number, keyId: number): boolean {
  const believed = world.store.statesOf(keyId).slice(world.force.keyOn(topic, keyId));
  return believed.some(({ expiresAtMs }) => (expiresAtMs ?? Infinity) <= world.clock.nowMs);
}

/** Whether a key is dead now, whatever the time; an end that has passed does not count. */
export function isOff(world: OperatorWorld, keyId: number): boolean {
  const last = world.store.statesOf(keyId).at(-1);
  return last !== undefined && (!last.isActive || last.isRevoked);
}

function laterClock({ clock, store }: OperatorWorld): number {
  return Math.max(clock.nowMs, store.nowMs);
}
