/** A backend that is killed again and again, and is started with the outbox that it left. */
import { join } from "node:path";
import { expect } from "vitest";
import { temporaryFolder } from "../temporary-files.ts";
import { startClient, type RuntimeName } from "./client-run.ts";
import { startChaos } from "./exactly-once.ts";
import { freshPlace } from "./fresh-place.ts";

/** How much is read of each program before it is killed. */
const BYTES_BETWEEN = 3000;

/** Kills the publisher so many times, and expects each message once and in order at a reader that stays. */
export async function expectOutboxKeeps(runtime: RuntimeName, kills: number): Promise<void> {
  const {
    subscriber,
    publisher,
    control,
    task: { publish, subscribe },
  } = await startChaos(await freshPlace());
  const outbox = join(await temporaryFolder(), "outbox.json");
  const reader = await startClient("node", { subscribe });
  const isRead = reader.ended({ withinSeconds: 90 + kills * 10 });
  for (let kill = 0; kill < kills; kill++) {
    const enough = subscriber.counts.bytesToClients + BYTES_BETWEEN;
    const program = await startClient(runtime, { publish }, outbox);
    const wentOn = subscriber.until(({ bytesToClients }) => bytesToClients >= enough);
    await Promise.race([wentOn, program.ended(), isRead]);
    await program.kill();
  }
  const last = await startClient(runtime, { publish }, outbox);
  await last.reported(/"role":"publisher","isConnected":true/);
  control.say("stop");
  const { published } = await last.ended();
  const { read } = await isRead;
  expect(read).toBe(published);
  expect(publisher.counts.connections).toBeGreaterThan(kills);
}
