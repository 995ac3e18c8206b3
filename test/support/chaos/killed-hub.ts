/** A hub that is killed again and again, and comes back with what it stored, under clients that go on. */
import { expect, onTestFinished } from "vitest";
import { databaseUrl } from "../addresses.ts";
import { startBareHub } from "../bare-hub.ts";
import { startClient } from "./client-run.ts";
import { startChaos } from "./exactly-once.ts";
import { freshPlace } from "./fresh-place.ts";

/** How much is read between two kills, so that there is always something under way. */
const BYTES_BETWEEN = 5000;

/** Kills a hub of the test's own so many times, and expects each message once and in order. */
export async function expectSurvivesKills(kills: number): Promise<void> {
  const env = { DATABASE_URL: databaseUrl() };
  let hub = await startBareHub({ env });
  onTestFinished(() => hub.stop());
  const { publisher, subscriber, control, task } = await startChaos(await freshPlace({}, hub.url));
  const run = await startClient("node", task);
  const ended = run.ended({ withinSeconds: 90 + kills * 10 });
  for (let kill = 0; kill < kills; kill++) {
    const enough = subscriber.counts.bytesToClients + BYTES_BETWEEN;
    const isRead = subscriber.until(({ bytesToClients }) => bytesToClients >= enough);
    // Whichever comes first: of a client that fails nothing is read.
    await Promise.race([isRead, ended]);
    await hub.kill();
    hub = await startBareHub({ env, port: hub.port, state: hub.state });
  }
  control.say("stop");
  const { published, read } = await ended;
  expect(read).toBe(published);
  for (const proxy of [publisher, subscriber]) {
    expect(proxy.counts.connections).toBeGreaterThan(kills);
    await proxy.until(({ open }) => open === 0);
  }
}
