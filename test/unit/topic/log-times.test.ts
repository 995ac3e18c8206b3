/** The times of a log rise, whatever the machine's clock does. */
import { describe, expect, test } from "vitest";
import { expectReached } from "../../support-in-workerd/expect-reached.ts";
import { onStorage, START_MS } from "../support/log-storage.ts";
import { begins, earliest, openLog, raw, rowsOf } from "../support/logs.ts";

/** Who is replayed to. */
const READER = {};

const DAY_MS = 86_400_000;
const MINUTE = { historySeconds: 60 };

/** Puts corrections away, as a version did that knew none. */
function forgetCorrections({ kv }: DurableObjectStorage): void {
  const { corrections: _, ...meta } = kv.get<Record<string, unknown>>("log") ?? {};
  kv.put("log", meta);
}

describe.each([
  ["in memory", {}],
  ["durable", { historyMessages: 100 }],
])("a clock that was ahead, %s", (_, policy) => {
  test("9.10 what it wrote is as old as the correction", () =>
    onStorage(async (storage) => {
      const log = openLog(storage, policy);
      log.append(raw("1", "2"), START_MS + DAY_MS);
      await expectReached("clock-set-back", () => log.append(raw("3"), START_MS));
      expect(begins(log, 2, START_MS + 2000)).toBe(0);
      expect(begins(log, 2, START_MS + 2001)).toBe(3);
      log.append(raw("4"), START_MS + 10_000);
      expect(begins(log, 2, START_MS + 10_000)).toBe(3);
      expect(begins(log, 5, START_MS + 20_000)).toBe(4);
      expect(log.position.atMs).toBe(START_MS + 10_000);
    }));

  test("9.10 a look corrects it, too, and once", () =>
    onStorage((storage) => {
      const log = openLog(storage, policy);
      log.append(raw("1"), START_MS + DAY_MS);
      expect(begins(log, 2, START_MS)).toBe(0);
      expect(begins(log, 2, START_MS + 2001)).toBe(1);
      expect(log.position.atMs).toBe(START_MS);
      log.append(raw("2"), START_MS + 5000);
      expect(begins(log, 2, START_MS + 5000)).toBe(1);
    }));

  test("9.10 one that is behind by less than a step waits", () =>
    onStorage((storage) => {
      const log = openLog(storage, policy);
      log.append(raw("1"), START_MS + 100);
      expect(log.append(raw("2"), START_MS)?.place.atMs).toBe(START_MS + 100);
      log.append(raw("3"), START_MS + 201);
      expect(log.append(raw("4"), START_MS + 100)?.place.atMs).toBe(START_MS + 100);
    }));
});

describe("a durable log", () => {
  test("9.10 lets go of what a clock wrote that was ahead, also after a restart", () =>
    onStorage((storage) => {
      const log = openLog(storage, MINUTE);
      for (const text of ["1", "2", "3"]) log.append(raw(text), START_MS + DAY_MS);
      log.append(raw("4"), START_MS);
      log.append(raw("5"), START_MS + 30_000);
      for (const reader of [log, openLog(storage, MINUTE)]) {
        expect(earliest(reader, START_MS + 60_000)).toBe(0);
        expect(earliest(reader, START_MS + 60_001)).toBe(4);
        expect(begins(reader, 40, START_MS + 60_000)).toBe(4);
        expect(reader.nextExpiryMs).toBe(START_MS + 90_000);
      }
      log.expire(START_MS + 60_001);
      expect(rowsOf(storage)).toEqual([5]);
    }));

  test("9.10 lets go of it when memory has only what came later", () =>
    onStorage((storage) => {
      const log = openLog(storage, MINUTE);
      for (let n = 0; n < 10; n++) log.append(raw("x"), START_MS + DAY_MS);
      for (let n = 0; n < 1100; n++) log.append(raw("x"), START_MS + n * 10);
      expect(earliest(log, START_MS + 60_000)).toBe(0);
      expect(earliest(log, START_MS + 60_001)).toBe(11);
      expect(begins(log, 60, START_MS + 60_101)).toBe(21);
    }));

  test("9.10 overwrites it when it is too old", () =>
    onStorage((storage) => {
      const log = openLog(storage, MINUTE);
      log.append(raw("1"), START_MS + DAY_MS);
      log.append(raw("2"), START_MS);
      log.append(raw("3"), START_MS + 60_001);
      log.append(raw("4"), START_MS + 60_001);
      expect(rowsOf(storage)).toEqual([3, 4]);
    }));

  test("9.10 corrects what a look found once, also after a restart", () =>
    onStorage((storage) => {
      const log = openLog(storage, MINUTE);
      log.append(raw("1"), START_MS + DAY_MS);
      expect(earliest(log, START_MS)).toBe(0);
      const later = openLog(storage, MINUTE);
      expect(earliest(later, START_MS + 60_001)).toBe(1);
      expect(later.position.atMs).toBe(START_MS);
    }));

  test("9.10 an alarm corrects it, too", () =>
    onStorage((storage) => {
      const log = openLog(storage, MINUTE);
      log.append(raw("1"), START_MS + DAY_MS);
      log.expire(START_MS);
      log.expire(START_MS + 60_001);
      expect(rowsOf(storage)).toEqual([]);
    }));

  test("9.10 keeps corrections apart, and those after which nothing earlier counts", () =>
    onStorage((storage) => {
      const log = openLog(storage, MINUTE);
      // Else a clock that is ahead takes what is there for too old.
      log.keepBehind(0, READER);
      log.append(raw("1"), START_MS + 2 * DAY_MS);
      log.append(raw("2"), START_MS);
      log.append(raw("3"), START_MS + DAY_MS);
      log.append(raw("4"), START_MS + 10_000);
      const other = { ...MINUTE, historyMessages: 100 };
      for (const reader of [log, openLog(storage, MINUTE), openLog(storage, other)]) {
        expect(earliest(reader, START_MS + 60_001)).toBe(2);
        expect(earliest(reader, START_MS + 70_001)).toBe(4);
        expect(begins(reader, 60, START_MS + 60_001)).toBe(2);
      }
      log.append(raw("5"), START_MS - DAY_MS);
      for (const reader of [log, openLog(storage, MINUTE)]) {
        expect(earliest(reader, START_MS - DAY_MS + 60_000)).toBe(0);
        expect(earliest(reader, START_MS - DAY_MS + 60_001)).toBe(5);
      }
    }));

  test("9.10 remembers few corrections, and times rise all the same", () =>
    onStorage((storage) => {
      const log = openLog(storage, { historySeconds: 3600 });
      log.keepBehind(0, READER);
      for (let n = 0; n < 40; n++) {
        log.append(raw("a"), START_MS + n * 1000 + DAY_MS);
        log.append(raw("b"), START_MS + n * 1000);
      }
      const { corrections } = storage.kv.get<{ corrections: unknown[] }>("log") ?? {};
      expect(corrections).toHaveLength(16);
      const reader = openLog(storage, { historySeconds: 3600 });
      const nowMs = START_MS + 40_000;
      const places = Array.from({ length: 41 }, (_, n) => begins(reader, n, nowMs));
      expect(places).toEqual(places.toSorted((one, other) => other - one));
      // Those of the first 25 corrections count as old as the first, rather than as younger than what came later.
      expect(earliest(reader, START_MS + 3_600_001)).toBe(49);
      // The last ones are exact: two messages a second.
      expect(places.slice(1, 10)).toEqual([78, 76, 74, 72, 70, 68, 66, 64, 62]);
    }));

  test("9.10 puts right what a version wrote that let times go back", () =>
    onStorage((storage) => {
      const log = openLog(storage, MINUTE);
      for (let n = 1; n <= 6; n++) log.append(raw(String(n)), START_MS + n * 1000);
      storage.sql.exec("update log set at = ? where id in (1024, 1536)", START_MS + DAY_MS);
      forgetCorrections(storage);
      for (let restart = 0; restart < 2; restart++) {
        const reader = openLog(storage, MINUTE);
        expect(earliest(reader, START_MS + 62_000)).toBe(1);
        expect(earliest(reader, START_MS + 64_001)).toBe(4);
      }
      // It is stored, so that no other wake looks at all rows.
      expect(storage.kv.get("log")).toMatchObject({ corrections: [{ last: 3 }] });
    }));

  test("9.8 9.10 a log that was to be kept by a clock that was ahead is not kept longer", () =>
    onStorage((storage) => {
      const log = openLog(storage, MINUTE);
      log.append(raw("1"), START_MS);
      log.retire(START_MS + DAY_MS);
      log.keepTime(START_MS);
      expect(log.keepUntilMs).toBe(START_MS + 60_000);
      log.keepTime(START_MS + 1000);
      expect(log.keepUntilMs).toBe(START_MS + 60_000);
    }));
});
