/**
 * The clock is set. Where it was set back, what it had written before counts as published at the jump (PROTOCOL.md,
 * 9.10), and from then on gets older like all else; which is seen when the object does not know it out of memory.
 */
import { realNow } from "../../support-in-workerd/real-time.ts";
import { JUMP_SECONDS, type Jump } from "./actions.ts";
import { evict } from "./intervene.ts";
import { settle } from "./settle.ts";
import type { World } from "./world.ts";

/** More than the shortest history, and than what is asked for then. */
const AFTERWARDS_SECONDS = 90;

/** Sets the clock, which never shows less than the real time. */
export async function jump(world: World, { by, seenBy }: Jump): Promise<void> {
  const seconds = JUMP_SECONDS[by];
  if (world.clock.nowMs + seconds * 1000 < realNow()) return;
  if (seconds > 0) {
    world.passTime(seconds);
    return;
  }
  if (seenBy === null) {
    setBack(world, seconds);
    return;
  }
  await settle(world, "stream");
  setBack(world, seconds);
  await settle(world, "stream");
  world.passTime(AFTERWARDS_SECONDS);
  await evict(world);
  await settle(world, "stream");
  await world.subscribe({
    type: "subscribe",
    protocol: seenBy,
    since: { kind: "duration", text: "30s" },
    gap: "skip",
    reads: "at once",
    acks: "none",
    count: 1,
  });
}

function setBack(world: World, seconds: number): void {
  const fromMs = world.clock.nowMs;
  const toMs = fromMs + seconds * 1000;
  world.quietEpoch = null;
  world.clock.set(toMs);
  world.publications.setBack(fromMs, toMs);
}
