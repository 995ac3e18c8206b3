/** Runs a scenario of the operator's to its end, where everything is read back, and nothing may be left behind. */
import { Clock } from "../../../support-in-workerd/clock.ts";
import { forgetFaults } from "../../../support-in-workerd/faults.ts";
import { Violation } from "../violation.ts";
import type { Join } from "./actions.ts";
import { expectHistory, noteOwed } from "./checkers/history-kept.ts";
import { expectNothingLeft } from "./checkers/nothing-left.ts";
import { HOUSE_KEY } from "./key-store-model.ts";
import { OperatorWorld } from "./operator-world.ts";
import { performOperator } from "./perform-operator.ts";
import type { OperatorScenario } from "./scenario.ts";
import { mark, settleOperator } from "./settle-operator.ts";
import type { TopicSite } from "./topic-site.ts";

/** Longer than changes are kept. */
const CHANGES_SECONDS = 3 * 3600;
/** Longer than it takes the daily sweep to come twice. */
const SWEEPS_SECONDS = 50 * 3600;

/** Runs a scenario; throws a violation with the course of events. */
export async function runOperator(scenario: OperatorScenario): Promise<void> {
  // It stands still: a scenario says when time passes, so that alarms fire in their order.
  using clock = new Clock({ shortensWaits: true });
  const world = new OperatorWorld(scenario, clock);
  try {
    for (const [index, action] of scenario.actions.entries()) {
      world.observer.note(`${index}: ${JSON.stringify(action)}`);
      await performOperator(world, action);
      for (const site of world.sites) await noteOwed(world, site);
      world.observer.check();
    }
    await finish(world);
  } catch (error) {
    const { message, stack } = error instanceof Error ? error : new Error(String(error));
    const report = `${message}\n  ${world.observer.tail()}`;
    throw error instanceof Violation
      ? new Violation(report, { cause: error })
      : new Error(`${report}\n${stack}`, { cause: error });
  } finally {
    leave(world);
    forgetFaults();
  }
}

async function finish(world: OperatorWorld): Promise<void> {
  world.observer.note("the end");
  world.late.length = 0;
  await settleOperator(world);
  for (const site of world.sites) await readBack(world, site);
  world.observer.check();
  leave(world);
  await world.advance(CHANGES_SECONDS);
  await world.advance(SWEEPS_SECONDS);
  world.observer.check();
  await expectNothingLeft(world);
}

/** Reads all that a topic has. */
async function readBack(world: OperatorWorld, site: TopicSite): Promise<void> {
  const own = { topic: site.number, cachedSeconds: null, lagMs: 0, isSlow: false };
  const source: Join = { type: "publisher", key: HOUSE_KEY, takeover: true, ...own };
  await world.join(source);
  await world.drain();
  const reader: Join = { type: "subscriber", by: HOUSE_KEY, since: "earliest", ...own };
  const { answer } = await world.join(reader);
  const client = site.subscribers.at(-1)?.client;
  await mark(world, site);
  if (typeof answer === "string" || client === undefined || !client.isOpen) return;
  if (site.openPublishers.length === 0) return;
  expectHistory(world, site, client.reader.seen);
}

function leave(world: OperatorWorld): void {
  world.slow?.release();
  for (const { client } of world.sites.flatMap(({ guests }) => guests)) client.leave();
}
