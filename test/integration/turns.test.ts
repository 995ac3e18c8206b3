/** Turns go to whoever came first, and a holder that does nothing loses its own, but only to somebody. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Turns, type Holder } from "../../src/local/turns.ts";

let turns: Turns;
let events: string[];

beforeEach(() => {
  vi.useFakeTimers();
  vi.spyOn(console, "error").mockImplementation((text: string) => void events.push(text));
  turns = new Turns();
  events = [];
});

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

test("first come, first served", async () => {
  await turns.take(holder("first"));
  const others = ["second", "third", "fourth"].map(async (name) => {
    await turns.take(holder(name));
    events.push(name);
    turns.release();
  });
  expect(events).toEqual([]);
  turns.release();
  await Promise.all(others);
  expect(events).toEqual(["second", "third", "fourth"]);
});

test("an idle holder is asked to give up a second after somebody came, not before", async () => {
  await turns.take(holder("idle"));
  turns.idle();
  await vi.advanceTimersByTimeAsync(5000);
  void turns.take(holder("other"));
  await vi.advanceTimersByTimeAsync(999);
  expect(events).toEqual([]);
  await vi.advanceTimersByTimeAsync(1);
  expect(events).toEqual(["idle gives up"]);
});

test("a second begins anew whenever the holder has done something, and with the next holder", async () => {
  await turns.take(holder("one"));
  void turns.take(holder("two"));
  void turns.take(holder("three"));
  turns.idle();
  await vi.advanceTimersByTimeAsync(900);
  turns.busy();
  turns.idle();
  await vi.advanceTimersByTimeAsync(900);
  expect(events).toEqual([]);
  turns.release();
  await vi.advanceTimersByTimeAsync(900);
  expect(events).toEqual([]);
  turns.idle();
  await vi.advanceTimersByTimeAsync(1000);
  expect(events).toEqual(["two gives up"]);
});

test("that a holder lets others wait is said once, after two seconds of its own", async () => {
  await turns.take(holder("busy"));
  void turns.take(holder("the hub"));
  void turns.take(holder("other"));
  await vi.advanceTimersByTimeAsync(1999);
  expect(events).toEqual([]);
  await vi.advanceTimersByTimeAsync(10_000);
  const said = "Postgres is busy with a transaction of busy: the hub waits";
  expect(events).toEqual([said]);
  turns.release();
  await vi.advanceTimersByTimeAsync(1999);
  expect(events).toEqual([said]);
});

function holder(name: string): Holder {
  return { name, giveUp: () => void events.push(`${name} gives up`) };
}
