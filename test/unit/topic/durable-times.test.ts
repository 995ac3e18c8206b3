/** History that is turned on, and batches that need several rows. */
import { describe, expect, test } from "vitest";
import { DEFAULT_POLICY } from "../../../src/core/policy.ts";
import { numbers, onStorage, START_MS } from "../support/log-storage.ts";
import { begins, earliest, openLog, raw, readAll, rowsOf } from "../support/logs.ts";

/** Lets the second of the rows that are written next fail. */
function failSecondRow({ sql }: DurableObjectStorage): void {
  const exec = sql.exec.bind(sql);
  let written = 0;
  Object.defineProperty(sql, "exec", {
    configurable: true,
    value: (...[query, ...bindings]: Parameters<typeof exec>) => {
      if (/^(insert|update)/.test(query) && (written += 1) === 2) throw new Error("SQLITE_FULL");
      return exec(query, ...bindings);
    },
  });
}

describe("history that is turned on", () => {
  test("9.3 keeps what memory held, without a gap", () =>
    onStorage((storage) => {
      const log = openLog(storage);
      log.append(raw(...numbers(1, 3)), START_MS);
      log.append(raw("4"), START_MS + 10_000);
      log.configure({ ...DEFAULT_POLICY, historyMessages: 10 }, START_MS);
      const cursor = { ...log.head, offset: 1 };
      const resumed = { cursor, gapFrom: null };
      expect(log.resume({ type: "cursor", cursor }, START_MS)).toEqual(resumed);
      expect(readAll(log, 1)).toEqual(numbers(2, 4));
      log.append(raw("5", "6"), START_MS + 20_000);
      expect(log.resume({ type: "cursor", cursor }, START_MS)).toEqual(resumed);
      expect(readAll(log, 1)).toEqual(numbers(2, 6));
      // As many as the policy says, and no more.
      log.append(raw(...numbers(7, 12)), START_MS + 20_000);
      expect(earliest(log, START_MS + 20_000)).toBe(2);
      // Another policy is no other history.
      log.configure({ ...DEFAULT_POLICY, historyMessages: 11 }, START_MS);
      expect(earliest(log, START_MS + 20_000)).toBe(1);
      // What was only in memory goes with it, and that is told.
      const later = openLog(storage, { historyMessages: 11 });
      expect(later.resume({ type: "cursor", cursor }, START_MS).gapFrom).toEqual(cursor);
      expect(readAll(later, earliest(later, START_MS))).toEqual(numbers(5, 12));
    }));

  test("9.3 keeps the only message that there was", () =>
    onStorage((storage) => {
      const log = openLog(storage);
      log.append(raw("1"), START_MS);
      log.configure({ ...DEFAULT_POLICY, historyMessages: 10 }, START_MS);
      log.append(raw("2"), START_MS);
      expect(earliest(log, START_MS)).toBe(0);
      expect(readAll(log, 0)).toEqual(["1", "2"]);
    }));

  test("9.2 keeps none of it beyond its age", () =>
    onStorage((storage) => {
      const log = openLog(storage);
      log.append(raw("1"), START_MS);
      log.append(raw("2"), START_MS + 30_000);
      log.configure({ ...DEFAULT_POLICY, historySeconds: 60 }, START_MS);
      expect(earliest(log, START_MS + 60_000)).toBe(0);
      expect(earliest(log, START_MS + 60_001)).toBe(1);
      expect(begins(log, 40, START_MS + 60_001)).toBe(1);
      // There is no row to delete for it.
      const before = storage.kv.get("log");
      log.append(raw("3"), START_MS + 60_000);
      log.expire(START_MS + 60_001);
      expect(storage.kv.get("log")).toEqual(before);
    }));

  test("9.3 is bounded by memory all the same", () =>
    onStorage((storage) => {
      const log = openLog(storage);
      for (const number of numbers(1, 10)) log.append(raw(number), START_MS);
      log.configure({ ...DEFAULT_POLICY, historyMessages: 5000 }, START_MS);
      for (const number of numbers(11, 1030)) log.append(raw(number), START_MS);
      expect(earliest(log, START_MS)).toBe(6);
      expect(readAll(log, 6)).toEqual(numbers(7, 1030));
      for (const number of numbers(1031, 1040)) log.append(raw(number), START_MS);
      expect(earliest(log, START_MS)).toBe(10);
    }));
});

describe("a batch of several rows", () => {
  const LARGE = "x".repeat(1_500_000);

  test.each([
    ["beside what is there", { historyMessages: 100 }, START_MS],
    ["in place of what is too old", { historySeconds: 60 }, START_MS + 3_600_000],
  ])("9.2 is written whole or not at all, %s", (_, history, nowMs) =>
    onStorage((storage) => {
      const log = openLog(storage, history);
      log.append(raw("1"), START_MS);
      log.append(raw("2"), START_MS);
      const rows = rowsOf(storage);
      failSecondRow(storage);
      expect(() => log.append(raw(LARGE), nowMs)).toThrow("SQLITE_FULL");
      expect(rowsOf(storage)).toEqual(rows);
      expect(openLog(storage, history).head.offset).toBe(2);
      expect(log.gone).toBe(0);
      log.append(raw(LARGE), nowMs);
      expect(readAll(openLog(storage, history), 2)).toEqual([LARGE]);
    }),
  );
});
