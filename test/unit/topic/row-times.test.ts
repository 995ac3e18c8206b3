/** The times of a log's rows are found without a scan. */
import { describe, expect, test } from "vitest";
import type { Since } from "../../../src/core/since.ts";
import type { Log } from "../../../src/topic/log.ts";
import { RowTimes, type RowTime } from "../../../src/topic/row-times.ts";
import { onStorage, START_MS } from "../support/log-storage.ts";
import { begins, openLog, raw } from "../support/logs.ts";

/** Who is replayed to. */
const READER = {};

/** Counts the rows that everything read through SQL takes. */
function countRowsRead({ sql }: DurableObjectStorage): (run: () => void) => number {
  const exec = sql.exec.bind(sql);
  let cursors: SqlStorageCursor<Record<string, SqlStorageValue>>[] = [];
  Object.defineProperty(sql, "exec", {
    configurable: true,
    value: (...args: Parameters<typeof exec>) => {
      const cursor = exec(...args);
      cursors.push(cursor);
      return cursor;
    },
  });
  return (run) => {
    cursors = [];
    run();
    return cursors.reduce((rows, { rowsRead }) => rows + rowsRead, 0);
  };
}

/** Message n is published n seconds after the start. */
function atOf(offset: number): number {
  return START_MS + offset * 1000;
}

describe("no scan", () => {
  const COUNT = 20_000;
  const nowMs = START_MS + COUNT * 1000;
  /** 7,000 are too old now. */
  const HISTORY = { historySeconds: COUNT - 7000 };

  function grow(storage: DurableObjectStorage, atMsOf: (offset: number) => number): Log {
    const log = openLog(storage, HISTORY);
    log.keepBehind(0, READER);
    for (let n = 1; n <= COUNT; n++) log.append(raw("x"), atMsOf(n));
    return log;
  }

  test("9.4 a connect reads at most 8 rows, whatever has expired", () =>
    onStorage((storage) => {
      const log = grow(storage, atOf);
      const rowsRead = countRowsRead(storage);
      const { epoch } = log.head;
      const cursors = [1, 6998, 6999, 7000, 12_345, 19_999].map((offset) => ({ epoch, offset }));
      const asked: Since[] = [
        { type: "earliest" },
        { type: "last", count: 15_000 },
        ...cursors.map((cursor) => ({ type: "cursor", cursor }) as const),
      ];
      for (const since of asked) {
        expect(rowsRead(() => void log.resume(since, nowMs))).toBeLessThanOrEqual(8);
      }
      for (let n = 0; n < 200; n++) {
        const seconds = 1 + ((n * 7919) % (COUNT - 7000));
        const lookMs = nowMs + n * 50;
        const read = rowsRead(() => {
          const expected = Math.ceil((lookMs - START_MS) / 1000 - seconds) - 1;
          expect(begins(log, seconds, lookMs)).toBe(Math.min(COUNT, expected));
        });
        expect(read).toBeLessThanOrEqual(8);
      }
    }));

  test("9.4 the first after a wake reads no more where messages came steadily", () =>
    onStorage((storage) => {
      grow(storage, atOf);
      const woken = openLog(storage, HISTORY);
      const rowsRead = countRowsRead(storage);
      expect(rowsRead(() => void begins(woken, 3600, nowMs))).toBeLessThanOrEqual(8);
    }));

  test("9.4 however they came, the first reads a few dozen at most, and the next none", () =>
    onStorage((storage) => {
      const kept = COUNT / 2 + 17;
      // All that is too old at once, the rest just now.
      const log = grow(storage, (offset) => (offset <= kept ? START_MS : nowMs - 5000));
      const woken = openLog(storage, HISTORY);
      const rowsRead = countRowsRead(storage);
      expect(rowsRead(() => void log.resume({ type: "earliest" }, nowMs))).toBeLessThanOrEqual(4);
      const look = (): void => expect(begins(woken, 7, nowMs)).toBe(kept);
      expect(rowsRead(look)).toBeLessThanOrEqual(20);
      expect(rowsRead(look)).toBe(0);
    }));

  test("a replay reads at most 64 rows more than it is given", () =>
    onStorage((storage) => {
      const log = openLog(storage, { historyMessages: 1000 });
      // As JSON, with their times, 128 of them are as much as is read at a time.
      for (let n = 1; n <= 300; n++) log.append(raw("x".repeat(984)), atOf(n));
      const woken = openLog(storage, { historyMessages: 1000 });
      const rowsRead = countRowsRead(storage);
      let given = 0;
      const rows = rowsRead(() => {
        const batch = woken.read(0);
        given = typeof batch === "object" && batch !== null ? batch.messages.length : 0;
      });
      expect(given).toBeGreaterThanOrEqual(128);
      expect(rows).toBeLessThanOrEqual(given + 64);
    }));

  test("9.4 rows that are missing are passed over", () =>
    onStorage((storage) => {
      const log = openLog(storage, HISTORY);
      for (let n = 1; n <= 1000; n++) log.append(raw("x"), atOf(n));
      storage.sql.exec("delete from log where last between 300 and 700");
      const woken = openLog(storage, HISTORY);
      expect(begins(woken, 500, atOf(1000))).toBe(299);
      expect(begins(woken, 250, atOf(1000))).toBe(749);
      expect(begins(woken, 900, atOf(1000))).toBe(99);
    }));
});

/** Few early, many late: no guess is good. */
function unevenly(offset: number): number {
  return START_MS + Math.floor(1.0001 ** offset);
}

function rowAt(offset: number): RowTime {
  return { first: offset, last: offset, atMs: unevenly(offset) };
}

/** Rows that are read to find what lies before the time of some rows. */
function readsOf(times: RowTimes, first: number, last: number): number[] {
  const ends = { oldest: rowAt(first), newest: rowAt(last) };
  return Array.from({ length: 50 }, (_, n) => {
    const timeMs = unevenly(Math.floor(first + ((last - first) * (n + 1)) / 51));
    let reads = 0;
    const found = times.lastBefore(timeMs, ends, (offset) => {
      reads += 1;
      return rowAt(offset);
    });
    expect(unevenly(found)).toBeLessThan(timeMs);
    expect(unevenly(found + 1)).toBeGreaterThanOrEqual(timeMs);
    return reads;
  });
}

describe("times that are remembered", () => {
  test("9.4 are as close to each other at the beginning as at the end", () => {
    const times = new RowTimes([]);
    for (let offset = 1; offset <= 150_000; offset++) times.append(rowAt(offset));
    expect(Math.max(...readsOf(times, 60_000, 150_000))).toBeLessThanOrEqual(8);
  });

  test("are those of 16,384 rows at most, and then of every second one", () => {
    const times = new RowTimes([]);
    // So far on that no two have the same time.
    const [first, last] = [100_001, 116_384];
    for (let offset = first; offset <= last; offset++) times.append(rowAt(offset));
    expect(Math.max(...readsOf(times, first, last))).toBe(0);
    times.append(rowAt(last + 1));
    expect(Math.max(...readsOf(times, first, last + 1))).toBe(1);
  });

  test("9.4 go with their rows, and make room for others", () => {
    const times = new RowTimes([]);
    for (let offset = 1; offset <= 100_000; offset++) {
      times.append(rowAt(offset));
      times.forgetBefore(rowAt(Math.max(1, offset - 1000)));
    }
    expect(Math.max(...readsOf(times, 99_000, 100_000))).toBe(0);
  });
});
