/** The equipment itself: what counts as under way. */
import { expect, test } from "vitest";
import { atRest } from "../../support-in-workerd/at-rest.ts";
import { Clock } from "../../support-in-workerd/clock.ts";
import { FaultTable, table } from "../../support-in-workerd/fault-table.ts";
import { waitReally } from "../../support-in-workerd/real-time.ts";

test("rest comes when all work is done, failed work too", async () => {
  let done = 0;
  const work = async (): Promise<void> => {
    await waitReally(20);
    done += 1;
    if (done === 2) throw new Error("Failed");
  };
  const failed = [table.track("a", work()), table.track("b", work())];
  const outcomes = Promise.allSettled(failed);
  await atRest();
  expect(done).toBe(2);
  expect((await outcomes).map(({ status }) => status)).toEqual(["fulfilled", "rejected"]);
});

test("time does not move on before", async () => {
  using clock = new Clock();
  const startMs = clock.nowMs;
  const seenMs = table.track(
    "a",
    waitReally(20).then(() => Date.now()),
  );
  await clock.advance(1_000);
  expect(await seenMs).toBe(startMs);
});

test("nobody waits for work while a call is held, and everybody again afterwards", async () => {
  const own = new FaultTable();
  const work = Promise.withResolvers<void>();
  const wait = Promise.withResolvers<void>();
  const tracked = own.track("a", work.promise);
  expect(own.isQuiet).toBe(false);
  const held = own.hold(wait.promise);
  expect(own.isQuiet).toBe(true);
  wait.resolve();
  await held;
  expect(own.isQuiet).toBe(false);
  work.resolve();
  await tracked;
  expect(own.isQuiet).toBe(true);
});

test("the work of an object that is made anew is lost", () => {
  const own = new FaultTable();
  void own.track("a", Promise.withResolvers<void>().promise);
  void own.track("b", Promise.withResolvers<void>().promise);
  own.forgetWork("a");
  expect(own.isQuiet).toBe(false);
  own.forgetWork("b");
  expect(own.isQuiet).toBe(true);
});
