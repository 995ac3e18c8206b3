/**
 * A topic ends while subscribers are given what is in its log, or have it: all of it is theirs before they are told
 * (PROTOCOL.md, 5.9). Where there is a grace, its end comes even if the runtime gave up on the alarm: whatever wakes
 * the object next sets it again.
 */
import type { End } from "./actions.ts";
import { within } from "./deadline.ts";
import { evict } from "./intervene.ts";
import { formatPlace, parsePlace, type Place } from "./place.ts";
import type { PublisherConnection } from "./publisher-connection.ts";
import { fill } from "./send.ts";
import { settle } from "./settle.ts";
import { StreamReader } from "./stream-reader.ts";
import type { SubscriberConnection } from "./subscriber-connection.ts";
import { Violation } from "./violation.ts";
import type { World } from "./world.ts";

/** Ends the topic, once all is quiet. */
export async function end(
  world: World,
  { protocol, acks, count, batches, isAlarmLost }: End,
): Promise<void> {
  if (world.policy.publishers === "shared") return;
  await fill(world, batches);
  await settle(world, "stream");
  const log = world.quietEpoch === null ? undefined : world.ledger.epoch(world.quietEpoch);
  const publisher = world.publisher(0);
  if (log === undefined || publisher === null) return;
  const crowd = await world.subscribe({
    type: "subscribe",
    protocol,
    since: { kind: "earliest" },
    gap: "skip",
    reads: "at once",
    acks,
    count,
  });
  const last = log.keys.get(log.last);
  if (isAlarmLost && last !== undefined) {
    // What memory alone has goes with it, and who is busy is not evicted.
    for (const client of crowd) {
      await within(client.reached(last), () => `${client.name} did not see the last (9.5)`);
    }
  }
  await endGrace(world, publisher, isAlarmLost);
  for (const client of crowd) {
    await within(client.gone, () => `${client.name} was not told that the topic ended (5.2)`);
    expectAll(client, { epoch: log.epoch, offset: log.last }, last);
  }
}

/** The publisher leaves, and nobody takes over. */
async function endGrace(
  world: World,
  publisher: PublisherConnection,
  isAlarmLost: boolean,
): Promise<void> {
  const { graceSeconds } = world.policy;
  publisher.leave();
  world.happened("publisher-left");
  await within(publisher.gone, () => `${publisher.name} got no answer to its close (8.2)`);
  if (graceSeconds === 0) return;
  if (isAlarmLost) {
    const atMs = await world.topic.loseAlarm();
    if (await evict(world)) await world.topic.wake();
    else await world.topic.restoreAlarm(atMs);
  }
  world.passTime(graceSeconds + 1);
  if (!(await world.topic.runAlarm())) throw new Violation("No alarm ends the grace (5.2)");
}

/** Who is told that a topic has ended has all that was in its log. */
function expectAll({ reader, closeCode, name }: SubscriberConnection, head: Place, last?: string) {
  if (closeCode !== 1000) {
    throw new Violation(`${name} was closed with ${closeCode} where the topic ended (5.9)`);
  }
  const has =
    reader instanceof StreamReader
      ? parsePlace(reader.cursor ?? "").offset === head.offset
      : last === undefined || reader.seen.has(last);
  if (has) return;
  throw new Violation(`${name} was told of the end before it had ${formatPlace(head)} (6.3)`);
}
