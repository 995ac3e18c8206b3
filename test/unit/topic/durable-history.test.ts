/** The durable history on an object's real storage: which rows go, when, and what is said of those that do not. */
import { describe, expect, test } from "vitest";
import { Batch } from "../../../src/delivery/batch.ts";
import { RecentBatches } from "../../../src/delivery/recent-batches.ts";
import { DurableHistory } from "../../../src/topic/durable-history.ts";
import type { HistoryBounds } from "../../../src/topic/history-bounds.ts";
import { expectReached } from "../../support-in-workerd/expect-reached.ts";
import { batchOf, breakSql, numbers, onStorage, START_MS } from "../support/log-storage.ts";

const EPOCH = "epoch0000000";

/** A history on what is stored, as after a restart: memory is empty. */
function open(storage: DurableObjectStorage, bounds: Partial<HistoryBounds>): DurableHistory {
  const beside = { recent: new RecentBatches(), unstored: 0, corrections: [] };
  return new DurableHistory(storage, { messages: 0, seconds: 0, ...bounds }, beside);
}

/** Appends batches of one message that nothing else needs, a millisecond apart if told so. */
function append(history: DurableHistory, first: number, last: number, stepMs = 0): void {
  for (let n = first; n <= last; n++) {
    history.append(batchOf(n, n, START_MS + (n - 1) * stepMs), [], Infinity);
  }
}

/** The offsets at which rows end, in order. */
function rowsOf({ sql }: DurableObjectStorage): number[] {
  const rows = sql.exec<{ last: number }>("select last from log order by id").toArray();
  return rows.map(({ last }) => last);
}

function messagesOf(batches: Batch[] | number): unknown {
  return typeof batches === "number" ? batches : batches.flatMap(({ messages }) => messages);
}

describe("a row that is over the bound", () => {
  test("is overwritten as soon as it was so before the batch", () =>
    expectReached("row-overwritten", () =>
      onStorage((storage) => {
        const history = open(storage, { messages: 2 });
        append(history, 1, 3);
        expect(rowsOf(storage)).toEqual([1, 2, 3]);
        append(history, 4, 4);
        expect(rowsOf(storage)).toEqual([2, 3, 4]);
        expect(history.first).toBe(2);
      }),
    ));

  test("is of no use where another part of its batch was overwritten", () =>
    expectReached("rows-without-first-part", () =>
      onStorage((storage) => {
        const history = open(storage, { messages: 1 });
        const place = { epoch: EPOCH, first: 1, last: 1, atMs: START_MS };
        history.append(Batch.ofMessages(place, ["x".repeat(700_000)]), [], Infinity);
        append(history, 2, 3);
        expect(rowsOf(storage)).toEqual([1, 2, 3]);
        expect(history.first).toBe(2);
      }),
    ));

  test("goes with an eighth of all, the oldest, where there is too much", () =>
    expectReached("rows-over-size", () =>
      onStorage((storage) => {
        const history = open(storage, { messages: 0 });
        append(history, 1, 16);
        // It looks after 4 Mi units.
        const messages = Array.from({ length: 8 }, () => "x".repeat(600_000));
        const place = { epoch: EPOCH, first: 17, last: 24, atMs: START_MS };
        history.append(Batch.ofMessages(place, messages), [], Infinity);
        let databaseSize = 256 * 1024 * 1024;
        Object.defineProperty(storage.sql, "databaseSize", { get: () => databaseSize });
        expect(history.outgrowsStorage()).toBe(false);
        databaseSize += 1;
        history.append(Batch.ofMessages({ ...place, first: 25, last: 32 }, messages), [], Infinity);
        expect(history.outgrowsStorage()).toBe(true);
        expect(history.outgrowsStorage()).toBe(false);
        const before = rowsOf(storage).length;
        history.shorten();
        expect(history.first).toBe(1 + Math.floor(before / 8) + 1);
        expect(rowsOf(storage).at(-1)).toBe(32);
      }),
    ));

  test.each([
    { last: 2024, rows: [1, 2, 3, 4, 5, 2024] },
    { last: 2025, rows: [2025] },
  ])("is deleted where 1,024 messages are, batch up to $last", ({ last, rows }) =>
    onStorage((storage) => {
      const history = open(storage, { messages: 1000 });
      append(history, 1, 5);
      history.append(batchOf(6, last), [], Infinity);
      expect(rowsOf(storage)).toEqual(rows);
    }),
  );

  test("is not deleted where something else needs it", () =>
    onStorage((storage) => {
      const history = open(storage, { messages: 1100 });
      append(history, 1, 1100);
      history.append(batchOf(1101, 4000), [], 1098);
      expect(rowsOf(storage)).toEqual([1099, 1100, 4000]);
    }));

  test("is that of the hundred thousandth message before the last, where only an age is set", () =>
    onStorage((storage) => {
      expect(open(storage, { seconds: 60 }).overBound(100_001)).toBe(1);
      expect(open(storage, { messages: 7, seconds: 60 }).overBound(10)).toBe(3);
    }));
});

describe("a row that is too old", () => {
  test("is overwritten", () =>
    onStorage((storage) => {
      const history = open(storage, { seconds: 60 });
      history.append(batchOf(1, 1, START_MS), [], Infinity);
      history.append(batchOf(2, 2, START_MS + 60_000), [], Infinity);
      expect(rowsOf(storage)).toEqual([1, 2]);
      history.append(batchOf(3, 3, START_MS + 60_001), [], Infinity);
      expect(rowsOf(storage)).toEqual([2, 3]);
    }));

  test("is told, and deleted unless something else needs it", () =>
    onStorage((storage) => {
      const history = open(storage, { seconds: 60 });
      append(history, 1, 5, 1000);
      expect(history.tooOld(START_MS + 60_000)).toBe(0);
      expect(history.tooOld(START_MS + 63_000)).toBe(3);
      history.expire(START_MS + 63_000, 2);
      expect(rowsOf(storage)).toEqual([3, 4, 5]);
      history.expire(START_MS + 63_000, Infinity);
      expect(rowsOf(storage)).toEqual([4, 5]);
    }));

  test("does not exist without an age", () =>
    onStorage((storage) => {
      const history = open(storage, { messages: 5 });
      append(history, 1, 5);
      expect(history.tooOld(Infinity)).toBe(0);
      expect(history.nextExpiryMs(Infinity)).toBeNull();
    }));

  test.each([
    { seconds: 3600, afterMs: 5_400_000 },
    { seconds: 60, afterMs: 90_000 },
    { seconds: 10, afterMs: 40_000 },
  ])("is looked for half an age late, but not all the time: $seconds s", ({ seconds, afterMs }) =>
    onStorage((storage) => {
      const history = open(storage, { seconds });
      expect(history.nextExpiryMs(Infinity)).toBeNull();
      append(history, 1, 2);
      expect(history.nextExpiryMs(1)).toBe(START_MS + afterMs);
      expect(history.nextExpiryMs(0)).toBeNull();
    }),
  );
});

test.each([
  [{ messages: 5, seconds: 0 }, 86_400_000],
  [{ messages: 5, seconds: 60 }, 60_000],
])("is kept without a publisher for its age or a day: %o", (bounds, vacantMs) =>
  onStorage((storage) => expect(open(storage, bounds).vacantMs).toBe(vacantMs)),
);

describe("what is read", () => {
  test("comes from memory, where that reaches back so far", () =>
    onStorage((storage) => {
      const history = open(storage, { messages: 10 });
      append(history, 1, 5);
      breakSql(storage);
      expect(messagesOf(history.after({ epoch: EPOCH, offset: 0 }, 1))).toEqual(numbers(1, 5));
    }));

  test("comes from the rows after a restart, up to a size", () =>
    onStorage((storage) => {
      append(open(storage, { messages: 10 }), 1, 5);
      const history = open(storage, { messages: 10 });
      expect(messagesOf(history.after({ epoch: EPOCH, offset: 2 }, 1e6))).toEqual(numbers(3, 5));
      expect(messagesOf(history.after({ epoch: EPOCH, offset: 2 }, 1))).toEqual(["3"]);
    }));

  test("is unreadable up to no one knows where, when storage does not answer", () =>
    onStorage((storage) => {
      append(open(storage, { messages: 10 }), 1, 5);
      const history = open(storage, { messages: 10 });
      breakSql(storage);
      expect(history.after({ epoch: EPOCH, offset: 2 }, 1)).toBe(Infinity);
    }));

  test("is not in memory, either, when it could not be written", () =>
    onStorage((storage) => {
      const recent = new RecentBatches();
      const history = new DurableHistory(
        storage,
        { messages: 10, seconds: 0 },
        { recent, unstored: 0, corrections: [] },
      );
      breakSql(storage);
      expect(() => history.append(batchOf(1, 1), [], Infinity)).toThrow("SQLITE_IOERR");
      expect(recent.oldest).toBeNull();
    }));
});

describe("the last message before a time", () => {
  test("is known of the rows after a restart", () =>
    onStorage((storage) => {
      append(open(storage, { messages: 10 }), 1, 5, 1000);
      const history = open(storage, { messages: 10 });
      expect(history.lastBefore(START_MS)).toBeNull();
      expect(history.lastBefore(START_MS + 2001)).toBe(3);
    }));

  test("is known of memory, where it was published before there were rows", () =>
    onStorage((storage) => {
      const recent = new RecentBatches();
      recent.push(batchOf(1, 3, START_MS));
      const history = new DurableHistory(
        storage,
        { messages: 10, seconds: 0 },
        { recent, unstored: 0, corrections: [] },
      );
      history.append(batchOf(4, 4, START_MS + 10), [], Infinity);
      expect(history.lastBefore(START_MS + 10)).toBe(3);
      expect(history.lastBefore(START_MS + 11)).toBe(4);
      expect(history.first).toBe(4);
    }));
});

test("goes on from its rows, and leaves none when it is dropped", () =>
  onStorage((storage) => {
    const history = open(storage, { messages: 10 });
    history.append(batchOf(1, 2, START_MS), [["a", 1, 7, 0]], Infinity);
    history.append(batchOf(3, 3, START_MS + 1), [["b", 3, 8, 1]], Infinity);
    const later = open(storage, { messages: 10 });
    expect(later.newest).toMatchObject({ last: 3, atMs: START_MS + 1 });
    expect(later.idsBehind(0).ids).toEqual([
      ["a", 1, 7, 0],
      ["b", 3, 8, 1],
    ]);
    later.drop();
    const tables = storage.sql.exec("select name from sqlite_master where name = 'log'").toArray();
    expect(tables).toEqual([]);
  }));
