/** A publisher whose hub has too much to do now and then. */
import { expect, onTestFinished } from "vitest";
import { startClient } from "./client-run.ts";
import { startChaos } from "./exactly-once.ts";
import { freshPlace } from "./fresh-place.ts";
import { startRefusingHub } from "./refusing-hub.ts";

/** Refuses so many of its publishes, and expects each message once and in order all the same. */
export async function expectKeepsOrder(refusals: number, seed: number): Promise<void> {
  const place = await freshPlace();
  const hub = await startRefusingHub(place.pub, { seed, probability: 0.02, most: refusals });
  onTestFinished(() => hub.stop());
  const { publisher, control, task } = await startChaos({ ...place, pub: hub.through(place.pub) });
  const run = await startClient("node", task);
  const ended = run.ended({ withinSeconds: 90 + refusals * 3 });
  const allRefused = publisher.until(() => hub.refused() >= refusals);
  await Promise.race([allRefused, ended]);
  control.say("stop");
  const { published, read } = await ended;
  expect(read, `seed ${seed}`).toBe(published);
  // Otherwise nothing was behind those that were refused.
  expect(hub.outOfOrder()).toBeGreaterThan(0);
  expect(publisher.counts.connections).toBe(1);
}
