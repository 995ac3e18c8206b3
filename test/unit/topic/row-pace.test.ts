/** How rows follow each other, in a time that the test makes up. */
import { describe, expect, test } from "vitest";
import { RowPace } from "../../../src/topic/row-pace.ts";

const START_MS = 1_800_000_000_000;
const DELAY_MS = 100;

/** A pace whose newest row was written at the start, after a rest. */
function rested(): RowPace {
  const pace = new RowPace();
  pace.wrote(START_MS, DELAY_MS);
  return pace;
}

describe("RowPace", () => {
  test("finds the first row due", () => {
    expect(new RowPace().untilDueMs(START_MS, DELAY_MS)).toBe(0);
  });

  test("makes the next one wait, after a rest for half a delay", () => {
    const pace = rested();
    expect(pace.untilDueMs(START_MS, DELAY_MS)).toBe(50);
    expect(pace.untilDueMs(START_MS + 20, DELAY_MS)).toBe(30);
    expect(pace.untilDueMs(START_MS + 50, DELAY_MS)).toBe(0);
    expect(pace.untilDueMs(START_MS + 500, DELAY_MS)).toBe(0);
  });

  test("has rows on average a delay apart, when each goes with the first message after it is due", () => {
    const pace = new RowPace();
    let rows = 0;
    for (let ms = 0; ms < 100_000; ms += 20) {
      if (pace.untilDueMs(START_MS + ms, 55) > 0) continue;
      pace.wrote(START_MS + ms, 55);
      rows += 1;
    }
    expect(Math.abs(rows - 100_000 / 55)).toBeLessThan(3);
  });

  test("lets nobody pay for rows that were full before they were due", () => {
    const pace = rested();
    for (let ms = 1; ms <= 100; ms++) pace.wrote(START_MS + ms, DELAY_MS);
    expect(pace.untilDueMs(START_MS + 100, DELAY_MS)).toBe(100);
  });

  test("is of the delay that it is asked for", () => {
    const pace = rested();
    expect(pace.untilDueMs(START_MS, 0)).toBe(0);
    expect(pace.untilDueMs(START_MS, 1000)).toBe(950);
  });

  test("waits no longer than a delay for a clock that was set back, and then goes on", () => {
    const pace = rested();
    const backMs = START_MS - 3_600_000;
    expect(pace.untilDueMs(backMs, DELAY_MS)).toBe(DELAY_MS);
    pace.wrote(backMs + DELAY_MS, DELAY_MS);
    expect(pace.untilDueMs(backMs + 2 * DELAY_MS, DELAY_MS)).toBe(0);
  });
});
