import { describe, expect, test } from "vitest";
import { Progress } from "../../../src/delivery/progress.ts";
import { expectReached } from "../../support-in-workerd/expect-reached.ts";

const KIB = 1024;

/** Whether it is stalled, second by second, where so much waits after each. */
function stalledAt(waiting: (second: number) => number, seconds: number): number | null {
  const progress = new Progress();
  progress.restart(waiting(0), 0);
  for (let second = 1; second <= seconds; second++) {
    if (progress.isStalled(waiting(second), second * 1000)) return second;
  }
  return null;
}

describe("11.6 the progress of a subscriber", () => {
  test("that takes nothing ends after 30 seconds", () => {
    expect(stalledAt(() => 300 * KIB, 100)).toBe(30);
  });

  test("that takes 1 KiB a second does not end", () => {
    expect(stalledAt((second) => (400 - second) * KIB, 400)).toBeNull();
  });

  test("that takes less ends after 30 seconds", () => {
    expect(stalledAt((second) => (400 - second * 0.99) * KIB, 400)).toBe(30);
  });

  test("that takes nothing any more ends 30 seconds after it did", () => {
    expect(stalledAt((second) => (400 - Math.min(second, 90)) * KIB, 400)).toBe(120);
  });

  test("that takes a large message is not seen, and has longer", () => {
    const message = 6 * KIB * KIB;
    expect(stalledAt(() => message, 1000)).toBe(384);
    // 6 MiB at 20 KiB a second.
    expect(stalledAt((second) => (second < 308 ? message : 0), 310)).toBeNull();
  });

  test("is not ended by a clock that is set back, nor by what it was before", async () => {
    const progress = new Progress();
    progress.restart(300 * KIB, 3_600_000);
    await expectReached("progress-begun-by-clock", () => {
      expect(progress.isStalled(300 * KIB, 0)).toBe(false);
    });
    expect(progress.isStalled(300 * KIB, 29_999)).toBe(false);
    expect(progress.isStalled(300 * KIB, 30_000)).toBe(true);
  });
});
