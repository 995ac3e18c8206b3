/** A publisher that wants to publish faster than its domain allows. */
import { expect } from "vitest";
import { startClient } from "./client-run.ts";
import { startChaos } from "./exactly-once.ts";
import { freshPlace } from "./fresh-place.ts";

/**
 * Lets it for so many seconds' worth, of hundreds of messages in all. Expects each message once and in order, and no
 * faster than allowed.
 */
export async function expectObeysRate(perSecond: number, seconds: number): Promise<void> {
  const place = await freshPlace({ messages_per_second: perSecond });
  const { publisher, control, task } = await startChaos(place);
  const started = performance.now();
  const run = await startClient("node", task);
  const ended = run.ended({ withinSeconds: 90 + seconds * 2 });
  await Promise.race([run.reported(new RegExp(`"messages":${perSecond * seconds}\\b`)), ended]);
  control.say("stop");
  const { published, read } = await ended;
  expect(read).toBe(published);
  const passed = (performance.now() - started) / 1000;
  // A second's worth may come at once; the last publish is paid for afterwards.
  expect(published).toBeLessThanOrEqual(perSecond * (passed + 1) + 3);
  // It was told to wait, and was not closed for going on.
  expect(publisher.counts.connections).toBe(1);
}
