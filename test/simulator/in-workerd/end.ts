/**
 * A topic ends while subscribers are caught up: all that is in the log is theirs before they are told. Where there is a
 * grace, its end comes even if the runtime gave up on the alarm: whatever wakes the object next sets it again.
 */
import type { Action } from "./actions.ts";
import { within } from "./deadline.ts";
import { formatPlace, parsePlace, type Place } from "./place.ts";
import { StreamReader } from "./stream-reader.ts";
import type { SubscriberConnection } from "./subscriber-connection.ts";
import { Violation } from "./violation.ts";
import type { World } from "./world.ts";

/** Ends the topic, if all is quiet and somebody publishes. */
export async function end(
  world: World,
  { protocol, acks, count, isAlarmLost }: Extract<Action, { type: "end" }>,
): Promise<void> {
  const log = world.quietEpoch === null ? undefined : world.ledger.epoch(world.quietEpoch);
  const publisher = world.allPublishers.find(({ isOpen }) => isOpen);
  const { publishers, graceSeconds } = world.policy;
  if (log === undefined || publisher === undefined || publishers === "shared") return;
  const crowd = await world.subscribe({
    type: "subscribe",
    protocol,
    since: { kind: "earliest" },
    gap: "skip",
    reads: "at once",
    acks,
    count,
  });
  publisher.leave();
  world.happened("publisher-left");
  if (graceSeconds > 0) {
    await within(publisher.gone, () => `${publisher.name} got no answer to its close (8.2)`);
    if (isAlarmLost) await world.topic.loseAlarm();
    world.passTime(graceSeconds + 1);
    if (!(await world.topic.runAlarm())) throw new Violation("No alarm ends the grace (5.2)");
  }
  for (const client of crowd) {
    await within(client.gone, () => `${client.name} was not told that the topic ended (5.2)`);
    expectAll(client, { epoch: log.epoch, offset: log.last }, log.keys.get(log.last));
  }
}

/** Who is told that a topic has ended has all that was in its log. */
function expectAll({ reader, closeCode, name }: SubscriberConnection, head: Place, last?: string) {
  if (closeCode !== 1000) return;
  const has =
    reader instanceof StreamReader
      ? parsePlace(reader.cursor ?? "").offset === head.offset
      : last === undefined || reader.seen.has(last);
  if (has) return;
  throw new Violation(`${name} was told of the end before it had ${formatPlace(head)} (6.3)`);
}
