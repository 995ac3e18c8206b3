/**
 * A topic ends while subscribers are given what is in its log, or have it: all of it is theirs before they are told
 * (PROTOCOL.md, 5.9). Where there is a grace, its end comes even if the runtime gave up on the alarm: whatever wakes
 * the object next sets it again.
 */
import type { EndReason } from "../../../src/core/end-reason.ts";
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
    const head = { epoch: log.epoch, offset: log.last };
    expectAll(client, { head, last, reason: "abandoned" });
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

/** How a topic ended. */
export interface Ended {
  readonly head: Place;
  /** The message there, where there is one. */
  readonly last: string | undefined;
  readonly reason: EndReason;
}

/** Who is told that a topic has ended has all that was in its log, and is told why. */
export function expectAll(
  { reader, closeCode, name }: SubscriberConnection,
  { head, last, reason }: Ended,
): void {
  if (closeCode !== 1000) {
    throw new Violation(`${name} was closed with ${closeCode} where the topic ended (5.9)`);
  }
  const has =
    reader instanceof StreamReader
      ? parsePlace(reader.cursor ?? "").offset === head.offset
      : last === undefined || reader.seen.has(last);
  if (reader instanceof StreamReader && reader.endReason !== reason) {
    throw new Violation(`${name} was told ${reader.endReason} where it is ${reason} (10.6)`);
  }
  if (has) return;
  throw new Violation(`${name} was told of the end before it had ${formatPlace(head)} (6.3)`);
}
