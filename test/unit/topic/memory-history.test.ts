/** The history of a log that is not durable. */
import { expect, test } from "vitest";
import { RecentBatches } from "../../../src/delivery/recent-batches.ts";
import { MemoryHistory } from "../../../src/topic/memory-history.ts";
import { batchOf, numbers, START_MS } from "../support/log-storage.ts";

const EPOCH = "epoch0000000";

function open(): MemoryHistory {
  const history = new MemoryHistory(new RecentBatches());
  for (const n of [1, 3, 5]) history.append(batchOf(n, n + 1, START_MS + n), [], 0);
  return history;
}

function read(history: MemoryHistory, offset: number): unknown {
  return history.after({ epoch: EPOCH, offset }, 1).flatMap(({ messages }) => messages);
}

test("has the last batches, from any message on", () => {
  const history = open();
  expect(history.first).toBe(1);
  for (const offset of [0, 1, 4, 6]) expect(read(history, offset)).toEqual(numbers(offset + 1, 6));
});

test("has nothing to say of what it does not reach any more", () => {
  const history = open();
  history.append(batchOf(7, 1100), [], 0);
  expect(history.first).toBe(7);
  expect(read(history, 5)).toEqual([]);
  expect(read(history, 6)).toEqual(numbers(7, 1100));
});

test("begins with nothing", () => {
  const history = new MemoryHistory(new RecentBatches());
  expect(history.first).toBeNull();
  expect(history.lastBefore(Infinity)).toBeNull();
  expect(read(history, 0)).toEqual([]);
});

test("knows what was published before a time", () => {
  expect(open().lastBefore(START_MS + 3)).toBe(2);
  expect(open().lastBefore(START_MS + 4)).toBe(4);
});

test("no policy bounds it, and nothing outlives memory", () => {
  const history = open();
  history.expire();
  history.drop();
  expect(read(history, 0)).toEqual(numbers(1, 6));
  expect(history.overBound()).toBe(0);
  expect(history.tooOld()).toBe(0);
  expect(history.nextExpiryMs()).toBeNull();
  expect(history.vacantMs).toBeNull();
  expect(history.bounds).toBeNull();
});
