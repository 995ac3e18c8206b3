/** What the operator reads of refusals: every one is counted, and lines are few. */
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { ProblemSlug } from "../../../src/core/problem.ts";
import { PROBLEMS } from "../../../src/core/problem.ts";
import { RefusalLog } from "../../../src/edge/refusal-log.ts";

interface Line {
  readonly event: string;
  readonly slug: string;
  readonly count: number;
}

const SLUGS = Object.keys(PROBLEMS) as ProblemSlug[];
const WINDOW_MS = 20_000;

describe("the log of refusals", () => {
  let log: RefusalLog;
  let lines: Line[];
  let work: Promise<void>[];

  beforeEach(() => {
    vi.useFakeTimers();
    log = new RefusalLog();
    lines = [];
    work = [];
    vi.spyOn(console, "log").mockImplementation((text: string) => {
      lines.push(JSON.parse(text) as Line);
    });
  });
  afterEach(() => {
    vi.restoreAllMocks();
    vi.useRealTimers();
  });

  function refuse(times: number, slug: ProblemSlug = "key-rejected", domain = "acme"): void {
    for (let n = 0; n < times; n++) log.add({ slug, domain, country: "AT" });
  }

  function seeTo(): void {
    log.seeTo((promise) => void work.push(promise));
  }

  function countOf(slug: string): number {
    return lines.filter((line) => line.slug === slug).reduce((sum, { count }) => sum + count, 0);
  }

  test("few are told one by one, with domain and country", () => {
    refuse(1);
    refuse(1, "topic-not-live", "other");
    const line = { level: "info", event: "refused", country: "AT", count: 1 };
    expect(lines).toEqual([
      { ...line, slug: "key-rejected", domain: "acme" },
      { ...line, slug: "topic-not-live", domain: "other" },
    ]);
  });

  test("of many, some are told, and the rest as one number when the window is over", () => {
    refuse(5000);
    expect(lines).toHaveLength(3);
    vi.advanceTimersByTime(WINDOW_MS - 1);
    refuse(1);
    expect(lines).toHaveLength(3);
    vi.advanceTimersByTime(1);
    refuse(1);
    expect(lines.slice(3)).toEqual([
      { level: "info", event: "refused", slug: "key-rejected", count: 4998 },
      expect.objectContaining({ count: 1, domain: "acme" }),
    ]);
    expect(countOf("key-rejected")).toBe(5002);
  });

  test("the rest is told also when nothing comes any more, by the work of one request", async () => {
    refuse(3);
    seeTo();
    expect(work).toHaveLength(0);
    vi.advanceTimersByTime(1000);
    refuse(10);
    for (let n = 0; n < 5; n++) seeTo();
    expect(work).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(WINDOW_MS - 1001);
    expect(countOf("key-rejected")).toBe(3);
    await vi.advanceTimersByTimeAsync(1);
    await Promise.all(work);
    expect(countOf("key-rejected")).toBe(13);
  });

  test("work that the runtime dropped is taken over by the next request", () => {
    refuse(10);
    seeTo();
    vi.clearAllTimers();
    vi.advanceTimersByTime(WINDOW_MS);
    seeTo();
    expect(countOf("key-rejected")).toBe(10);
    refuse(10);
    seeTo();
    expect(work).toHaveLength(2);
  });

  test("a flood of one kind hides no other kind", () => {
    refuse(100_000, "topic-not-live");
    refuse(1, "key-rejected");
    expect(lines.at(-1)).toMatchObject({ slug: "key-rejected", domain: "acme" });
  });

  test("lines are bounded, whatever is refused and however often, and no count is lost", () => {
    const minuteMs = 60_000;
    for (let ms = 0; ms < minuteMs; ms += 500) {
      for (const slug of SLUGS) refuse(7, slug, `made-up-${ms}`);
      vi.advanceTimersByTime(500);
    }
    seeTo();
    expect(lines.length).toBeLessThanOrEqual(3 * (20 + SLUGS.length));
    for (const slug of SLUGS) expect(countOf(slug)).toBe(7 * 120);
  });
});
