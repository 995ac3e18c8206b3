/**
 * A reconnect storm: all subscribers are cut at once while publishing goes on, and each comes back
 * after a random delay with the last cursor it has seen.
 *
 * Losses, repeats and those left behind are counted, not fatal: they are what is compared.
 */
import { setTimeout as sleep } from "node:timers/promises";

import { listProcessTree } from "../processes/process-tree.ts";
import { quantile } from "../quantile.ts";
import { Audience } from "./audience.ts";
import { dialects } from "./dialects.ts";
import type { StormCommand, StormResult } from "./load-command.ts";
import { OrderedSink } from "./ordered-sink.ts";
import { busyBetween, takeReading } from "./reading.ts";
import { Returner } from "./returner.ts";
import { createSeededRandom } from "./seeded-random.ts";
import { SteadyPublisher } from "./steady-publisher.ts";
import { until } from "./until.ts";

const SEED = 1;
/** How long publishing goes on before the cut, and after all are current. */
const AROUND_MS = 1_000;
/** Who is not current by then is left behind. */
const PATIENCE_MS = 60_000;
const LOOK_EVERY_MS = 5;

export async function measureStorm(command: StormCommand): Promise<StormResult> {
  const { subscribers, jitterSeconds, queryCountUrl } = command;
  const dialect = dialects[command.endpoint.dialect];
  const format = dialect.format(command.messageBytes);
  const random = createSeededRandom(SEED);
  const returners = Array.from(
    { length: subscribers },
    () => new Returner((tracker) => new OrderedSink(dialect, format, tracker)),
  );
  const audience = await Audience.open(command.endpoint);
  try {
    await audience.join(returners.map(({ sink }) => sink));
    const publisher = new SteadyPublisher(audience.publisher, dialect.framer(format));
    publisher.start(command.messagesPerSecond);
    await sleep(AROUND_MS);
    await until(() => returners.every(({ tracker }) => tracker.next > 0), {
      watch: () => audience.assertWell(),
      what: () => "not everyone had a message before the cut",
    });
    const pids = listProcessTree(command.serverPid);
    const queriesBefore = await countQueries(queryCountUrl);
    const before = takeReading(pids);
    const cutMs = performance.now();
    for (const subscriber of audience.subscribers) subscriber.destroy();
    await Promise.all(
      returners.map(async (returner) => {
        await sleep(random() * jitterSeconds * 1_000);
        await returner.comeBack(audience, publisher);
      }),
    );
    await waitForReturn(returners, cutMs + PATIENCE_MS);
    const { busy } = busyBetween(before, takeReading(pids));
    const queriesAfter = await countQueries(queryCountUrl);
    await sleep(AROUND_MS);
    await publisher.stop();
    const back = returners.filter(({ currentMs }) => currentMs !== undefined);
    await until(
      () =>
        back.every(({ tracker, fault }) => tracker.next >= publisher.sent || fault !== undefined),
      { watch: () => undefined, what: () => "A subscriber that was current fell behind again" },
    );
    const well = back.filter(({ fault }) => fault === undefined);
    return {
      subscribers,
      // All were there before the first message: one that began later lost what came before.
      lost: sum(returners.map(({ tracker }) => tracker.lost + (tracker.first ?? 0))),
      repeated: sum(returners.map(({ tracker }) => tracker.repeated)),
      leftBehind: subscribers - well.length,
      fault: returners.find(({ fault }) => fault !== undefined)?.fault,
      databaseQueries:
        queriesBefore === undefined || queriesAfter === undefined
          ? undefined
          : queriesAfter - queriesBefore,
      lastCurrentMs: quantile(
        well.map(({ currentMs = Number.NaN }) => currentMs - cutMs),
        1,
      ),
      ...busy,
    };
  } finally {
    audience.close();
    for (const returner of returners) returner.destroy();
  }
}

/** Waits until everyone is current or lost hope. */
async function waitForReturn(returners: readonly Returner[], deadlineMs: number): Promise<void> {
  while (!returners.every(isBack) && performance.now() < deadlineMs) await sleep(LOOK_EVERY_MS);
}

async function countQueries(url: string | undefined): Promise<number | undefined> {
  if (url === undefined) return undefined;
  const response = await fetch(url);
  return Number(await response.text());
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

function isBack({ currentMs, fault }: Returner): boolean {
  return currentMs !== undefined || fault !== undefined;
}
