/** Links that go silent with both sockets open, which nobody but the client itself can find out. */
import { expect } from "vitest";
import type { Direction } from "./chaos-proxy.ts";
import { startClient, type RuntimeName } from "./client-run.ts";
import { startChaos } from "./exactly-once.ts";
import { freshPlace } from "./fresh-place.ts";

/** Silences both sides once while they are busy, and expects them to come back by themselves within so long. */
export async function expectNoticesSilence(
  runtime: RuntimeName,
  withinSeconds: number,
): Promise<void> {
  const { publisher, subscriber, control, task } = await startChaos(await freshPlace());
  const run = await startClient(runtime, task);
  const ended = run.ended({ withinSeconds: 90 + withinSeconds });
  await Promise.race([run.reported(/"reading"/), ended]);
  const silentFrom = performance.now();
  for (const proxy of [publisher, subscriber]) proxy.strandAll();
  const back = [publisher, subscriber].map((proxy) =>
    proxy.until((counts) => counts.connections >= 2),
  );
  await Promise.race([Promise.all(back), ended]);
  expect(performance.now() - silentFrom).toBeLessThan(withinSeconds * 1000);
  control.say("stop");
  const through = [/"published"/, /"read"/].map((report) => run.reported(report));
  await Promise.race([Promise.all(through), ended]);
  // No runtime can leave a dead connection: a program that ends by itself ends with its last one.
  for (const proxy of [publisher, subscriber]) proxy.resetStranded();
  const { published, read } = await ended;
  expect(read).toBe(published);
}

/** Holds up one direction until both sides have noticed, and expects nothing lost when it is let go. */
export async function expectSurvivesDeafness(direction: Direction): Promise<void> {
  const { publisher, subscriber, control, task } = await startChaos(await freshPlace());
  const run = await startClient("node", task);
  const ended = run.ended();
  await Promise.race([run.reported(/"reading"/), ended]);
  for (const proxy of [publisher, subscriber]) proxy.freeze(direction);
  const noticed = ["publisher", "subscriber"].map((role) =>
    run.reported(new RegExp(`"${role}","isConnected":false`)),
  );
  await Promise.race([Promise.all(noticed), ended]);
  for (const proxy of [publisher, subscriber]) proxy.thaw();
  control.say("stop");
  const { published, read } = await ended;
  expect(read).toBe(published);
}

/** Silences a publisher that displaces nobody: the hub lets it back when its own dead socket has missed three heartbeats. */
export async function expectSucceedsItself(): Promise<void> {
  const { publisher, control, task } = await startChaos(await freshPlace());
  const options = { ...task.publish.options, takeover: false, heartbeatSeconds: 1 };
  const publish = { ...task.publish, options };
  const run = await startClient("node", { ...task, publish });
  const ended = run.ended();
  await Promise.race([run.reported(/"reading"/), ended]);
  publisher.strandAll();
  await Promise.race([run.reported(/"publisher","isConnected":true,"time":2/), ended]);
  // It was refused at least once.
  expect(publisher.counts.connections).toBeGreaterThan(2);
  control.say("stop");
  await Promise.race([run.reported(/"published"/), ended]);
  publisher.resetStranded();
  const { published, read } = await ended;
  expect(read).toBe(published);
}
