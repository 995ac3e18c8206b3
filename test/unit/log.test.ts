/** What the operator reads: every cause at once, and no line for each time. */
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { logError } from "../../src/log.ts";

describe("logError", () => {
  /** No other test logs such events. */
  let reason: string;
  let lines: Record<string, unknown>[];

  beforeEach(() => {
    vi.useFakeTimers({ toFake: ["Date"] });
    reason = crypto.randomUUID();
    lines = [];
    vi.spyOn(console, "error").mockImplementation((text: string) => {
      lines.push(JSON.parse(text) as Record<string, unknown>);
    });
  });
  afterEach(() => {
    vi.restoreAllMocks();
    vi.useRealTimers();
  });

  function log(times: number, event = "it-fails"): void {
    for (let n = 0; n < times; n++) logError({ event, reason });
  }

  test("writes an event at once", () => {
    log(1);
    expect(lines).toEqual([{ level: "error", event: "it-fails", reason }]);
  });

  test("writes what happens often a few times, and says how often it was", () => {
    log(5000);
    expect(lines).toMatchObject([{}, { count: 9 }, { count: 90 }, { count: 900 }]);
    expect(lines[0]).not.toHaveProperty("count");
  });

  test("begins anew after ten seconds, and tells what was not told", () => {
    log(15);
    vi.advanceTimersByTime(9999);
    log(1);
    expect(lines).toHaveLength(2);
    vi.advanceTimersByTime(1);
    log(1);
    expect(lines.slice(2)).toMatchObject([{ count: 7 }]);
    log(9);
    expect(lines.slice(3)).toMatchObject([{ count: 9 }]);
  });

  test("counts each cause for itself", () => {
    log(2);
    log(1, "it-fails-otherwise");
    reason = crypto.randomUUID();
    log(1);
    expect(lines).toHaveLength(3);
  });

  test("does not count without bound", () => {
    log(2);
    for (let n = 0; n < 1000; n++) logError({ event: "it-fails", reason: `${reason} ${n}` });
    lines.length = 0;
    log(1);
    expect(lines).toHaveLength(1);
  });
});
