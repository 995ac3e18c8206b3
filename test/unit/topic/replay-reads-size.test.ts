/** Reads of replays are remembered, as many as memory has room for. */
import { describe, expect, test } from "vitest";
import { Batch } from "../../../src/delivery/batch.ts";
import type { Log } from "../../../src/topic/log.ts";
import { onStorage, openLog, raw, START_MS } from "../support/logs.ts";

/** Whether what follows an offset is remembered: then it is the same batch. */
function isRemembered(log: Log, offset: number): boolean {
  return log.read(offset) === log.read(offset);
}

describe("reads that are remembered", () => {
  const KIB = 1024;

  test("11.1 are few, and the oldest goes first", () =>
    onStorage((storage) => {
      const log = openLog(storage, { historyMessages: 100 });
      for (let n = 0; n < 20; n++) log.append(raw("x".repeat(200 * KIB)), START_MS);
      const woken = openLog(storage, { historyMessages: 100 });
      const first = Array.from({ length: 9 }, (_, offset) => woken.read(offset));
      expect(woken.read(8)).toBe(first[8]);
      expect(woken.read(1)).toBe(first[1]);
      expect(woken.read(0)).not.toBe(first[0]);
      expect(woken.read(1)).not.toBe(first[1]);
    }));

  test("11.1 are 2 MiB at most, and none of what is larger", () =>
    onStorage((storage) => {
      const log = openLog(storage, { historyMessages: 100 });
      for (const kib of [2049, 2048, 1024, 1025]) {
        log.append(raw("x".repeat(kib * KIB)), START_MS);
      }
      const woken = openLog(storage, { historyMessages: 100 });
      expect(isRemembered(woken, 0)).toBe(false);
      expect(isRemembered(woken, 1)).toBe(true);
      expect(isRemembered(woken, 2)).toBe(true);
      const third = woken.read(2);
      woken.read(0);
      expect(woken.read(2)).toBe(third);
      const second = woken.read(1);
      expect(second instanceof Batch && second.messages.length).toBe(1);
      expect(woken.read(2)).not.toBe(third);
    }));
});
