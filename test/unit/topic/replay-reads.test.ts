/** What replays are given: how much at a time, and how often the history is asked for it. */
import { expect, test } from "vitest";
import { expectReached } from "../../support-in-workerd/expect-reached.ts";
import { Batch } from "../../../src/delivery/batch.ts";
import { ReplayReads } from "../../../src/topic/replay-reads.ts";
import { batchOf, START_MS } from "../support/log-storage.ts";

const EPOCH = "epoch0000000";

/** Reads out of a history, and counts how often that is asked. */
function readsOf(after: (offset: number) => Batch[] | number) {
  const reads = new ReplayReads();
  let asked = 0;
  const history = {
    after: ({ offset }: { offset: number }) => {
      asked += 1;
      return after(offset);
    },
  };
  return {
    read: (offset: number) => reads.read({ epoch: EPOCH, offset }, history),
    asked: () => asked,
  };
}

test("joins batches up to 128 Ki", () => {
  const text = "x".repeat(64 * 1024);
  const batches = [1, 2, 3].map((n) =>
    Batch.ofMessages({ epoch: EPOCH, first: n, last: n, atMs: START_MS }, [text]),
  );
  const { read } = readsOf(() => batches);
  expect(read(0)).toMatchObject({ place: { first: 1, last: 2 }, messages: [text, text] });
});

test("asks once for what several read, and remembers eight", () =>
  expectReached("read-forgotten", () => {
    const { read, asked } = readsOf((offset) => [batchOf(offset + 1, offset + 1)]);
    const first = read(0);
    for (let offset = 1; offset < 8; offset++) read(offset);
    expect(read(0)).toBe(first);
    expect(asked()).toBe(8);
    read(8);
    expect(asked()).toBe(9);
    read(1);
    expect(asked()).toBe(9);
    expect(read(0)).not.toBe(first);
    expect(asked()).toBe(10);
  }));

test("11.1 remembers 2 MiB at most, and nothing that is larger", () => {
  const kib = [2049, 2048, 1024, 1025];
  const { read } = readsOf((offset) => {
    const first = offset + 1;
    const place = { epoch: EPOCH, first, last: first, atMs: START_MS };
    return [Batch.ofMessages(place, ["x".repeat((kib[offset] ?? 0) * 1024)])];
  });
  const isRemembered = (offset: number): boolean => read(offset) === read(offset);
  expect(isRemembered(0)).toBe(false);
  expect(isRemembered(1)).toBe(true);
  expect(isRemembered(2)).toBe(true);
  const third = read(2);
  read(0);
  expect(read(2)).toBe(third);
  read(1);
  expect(read(2)).not.toBe(third);
});

test("tells what cannot be read, and asks again", () => {
  const { read, asked } = readsOf((offset) => (offset === 0 ? 5 : []));
  expect(read(0)).toBe(5);
  expect(read(0)).toBe(5);
  expect(read(7)).toBe(Infinity);
  expect(asked()).toBe(3);
});
