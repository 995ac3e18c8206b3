/** A reader that takes its time while much is published: what it has not read must wait at the hub, not with it. */
import { expect, onTestFinished } from "vitest";
import { databaseUrl } from "../addresses.ts";
import { startBareHub } from "../bare-hub.ts";
import { startClient, type RuntimeName } from "./client-run.ts";
import { startChaos } from "./exactly-once.ts";
import { freshPlace } from "./fresh-place.ts";

const MIB = 1_048_576;
/** What the hub sends beyond what was consumed, live and of the past, and what is on the way in a cut or two. */
const AHEAD_MIB = 6;
const PADDING = 4096;

/** Publishes so much while a loop stands still behind its first message, then expects all of it. */
export async function expectBoundedBehind(runtime: RuntimeName, mebibytes: number): Promise<void> {
  // Of its own, without `wrangler dev` before it, which compresses.
  const hub = await startBareHub({ env: { DATABASE_URL: databaseUrl() } });
  onTestFinished(() => hub.stop());
  const { publisher, subscriber, control, task } = await startChaos(await freshPlace({}, hub.url));
  const { publish, subscribe } = task;
  const reader = await startClient(runtime, {
    subscribe: { ...subscribe, pause: control.url("read") },
    padding: PADDING,
  });
  const isRead = reader.ended({ withinSeconds: 60 + mebibytes });
  const writer = await startClient("node", { publish, padding: PADDING });
  const isWritten = writer.ended({ withinSeconds: 60 + mebibytes });
  await Promise.race([reader.reported(/"reading"/), isRead, isWritten]);
  await Promise.race([
    publisher.until(({ bytesToHub }) => bytesToHub > mebibytes * MIB),
    isRead,
    isWritten,
  ]);
  control.say("stop");
  const { published } = await isWritten;
  // All of it is in the log, and the reader has read one message.
  expect(subscriber.counts.bytesToClients).toBeLessThan(AHEAD_MIB * MIB);
  control.say("read");
  const { read } = await isRead;
  expect(read).toBe(published);
}
