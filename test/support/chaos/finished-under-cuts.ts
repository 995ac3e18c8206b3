/** Short topics whose connections are cut all the time, while they are finished and while that is told, too. */
import { expect } from "vitest";
import * as client from "../../../src/client/main.ts";
import { within, resultOf } from "./client-run.ts";
import { startChaos } from "./exactly-once.ts";
import { drawFates } from "./fate.ts";
import { freshPlace } from "./fresh-place.ts";
import { runTraffic, type Report } from "./traffic.ts";

/** So few that hardly any topic is through with its first connections. */
const MOST_BYTES = 4000;
const PATIENCE_SECONDS = 150;

/** Has so many topics published and read at a time, to their end. */
export async function expectFinishesUnderCuts(topics: number, seed: number): Promise<void> {
  const numbers = Array.from({ length: topics }, (_, n) => seed + n);
  await Promise.all(numbers.map((number) => expectFinishes(number)));
}

async function expectFinishes(seed: number): Promise<void> {
  const { publisher, subscriber, control, task } = await startChaos(await freshPlace());
  publisher.setFates(drawFates(seed, MOST_BYTES));
  subscriber.setFates(drawFates(-seed, MOST_BYTES));
  // A few messages, and then the last one at once.
  control.say("stop");
  const reports: Report[] = [];
  const through = runTraffic(client, task, (report) => void reports.push(report));
  await within(PATIENCE_SECONDS, through);
  const { published, read } = resultOf(reports);
  expect(read, `seed ${seed}`).toBe(published);
  expect(published).toBeGreaterThan(0);
}
