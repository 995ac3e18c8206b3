/** Runs a scenario from a vacant topic to its end, where everything is read back and compared. */
import type { Subscribe } from "./actions.ts";
import { Clock } from "../../support-in-workerd/clock.ts";
import { forgetFaults } from "../../support-in-workerd/faults.ts";
import { perform } from "./perform.ts";
import { isDurable } from "./retention.ts";
import type { Scenario } from "./scenario.ts";
import { settle } from "./settle.ts";
import { verify } from "./verify.ts";
import { Violation } from "./violation.ts";
import { World } from "./world.ts";

/** Reads the whole log, in both ways. */
const READ_BACK: Subscribe = {
  type: "subscribe",
  protocol: "stream",
  since: { kind: "earliest" },
  gap: "close",
  reads: "at once",
  acks: "none",
  count: 1,
};

const LEAD_MS = 3 * 3_600_000;
/** More than this is not published to see whether a slow subscriber is closed. */
const MAX_TAX_BYTES = 4096;

/** Runs a scenario; throws a violation with the course of events. */
export async function runScenario({ policy, witness, actions }: Scenario): Promise<void> {
  // It only ever runs ahead of the real time: alarms are late by themselves, and the scenario fires them. Long waits are
  // shortened, since a scenario has many of them.
  using clock = new Clock({ isRunning: true, shortensWaits: true });
  // Ahead, so that it can be set back.
  clock.set(clock.nowMs + LEAD_MS);
  const world = new World(policy, clock);
  try {
    if (witness) await world.employWitness();
    for (const [index, action] of actions.entries()) {
      world.observer.note(`${index}: ${JSON.stringify(action)}`);
      await perform(world, action);
      await world.watch();
      world.observer.check();
    }
    await finish(world);
  } catch (error) {
    const { message } = error instanceof Error ? error : new Error(String(error));
    const report = `${message}\n  ${world.observer.tail()}`;
    throw error instanceof Violation
      ? new Violation(report, { cause: error })
      : new Error(report, { cause: error });
  } finally {
    await leave(world);
    forgetFaults();
  }
}

async function finish(world: World): Promise<void> {
  world.observer.note("the end");
  await settle(world, "stream");
  if (
    world.allSubscribers.some(({ isOpen, unacknowledged }) => isOpen && unacknowledged !== null)
  ) {
    await overtax(world);
  }
  if (isDurable(world.policy)) {
    await world.subscribe(READ_BACK);
    await world.subscribe({ ...READ_BACK, protocol: "raw" });
    await settle(world, "stream");
  }
  verify(world);
}

/** Publishes more than may wait for a subscriber that does not acknowledge any more, twice. */
async function overtax(world: World): Promise<void> {
  if (world.policy.maxBacklogBytes > MAX_TAX_BYTES) return;
  for (let round = 0; round < 2; round++) {
    for (let message = 0; message < 6; message++) {
      const publisher = world.publisher(0);
      publisher?.publish(world.publications.create({ messages: 1, kind: "long" }, publisher.owner));
    }
    await settle(world, "stream");
  }
}

/** Closes what is left, so that scenarios do not pile up in the runtime. */
async function leave(world: World): Promise<void> {
  for (const poll of world.polls) poll.stop();
  await Promise.allSettled([...world.background, ...world.polls.map(({ done }) => done)]);
  for (const publisher of world.allPublishers) publisher.leave();
  for (const client of world.allSubscribers) client.leave();
}
