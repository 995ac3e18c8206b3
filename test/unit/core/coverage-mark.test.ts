/** Each coverage mark stands in the code once, and a test demands it; and a test that demands one can fail. */
import { describe, expect, test } from "vitest";
import { MARKS, reached } from "../../../src/core/coverage-mark.ts";
import { expectReached } from "../../support-in-workerd/expect-reached.ts";

const sources = import.meta.glob("../../../src/**/*.ts", {
  query: "?raw",
  import: "default",
  eager: true,
});
const tests = import.meta.glob(["../**/*.test.ts", "!./coverage-mark.test.ts"], {
  query: "?raw",
  import: "default",
  eager: true,
});

/** The marks that a function is called with anywhere in these files. */
function marksIn(files: Readonly<Record<string, string>>, called: string): string[] {
  const call = new RegExp(`\\b${called}\\(\\s*"([^"]*)"`, "g");
  return Object.values(files).flatMap((text) =>
    [...text.matchAll(call)].map(([, mark = ""]) => mark),
  );
}

describe("coverage marks", () => {
  test("each has a name of its own", () => {
    expect(new Set(MARKS).size).toBe(MARKS.length);
  });

  test("each stands in the code once", () => {
    expect(marksIn(sources, "reached").toSorted()).toEqual([...MARKS].toSorted());
  });

  test("each is demanded by a test", () => {
    expect([...new Set(marksIn(tests, "expectReached"))].toSorted()).toEqual([...MARKS].toSorted());
  });
});

describe("expectReached", () => {
  const [mark, other] = MARKS;

  test("returns what was returned, where the mark was reached", async () => {
    const run = (result: number): number => {
      reached(mark);
      return result;
    };
    expect(await expectReached(mark, () => run(1))).toBe(1);
    expect(await expectReached(mark, () => Promise.resolve().then(() => run(2)))).toBe(2);
  });

  test.each([
    ["nothing was", () => {}],
    ["another one was", () => reached(other)],
  ])("fails where %s", async (_, run: () => void) => {
    // Before counts for nothing.
    reached(mark);
    await expect(expectReached<void>(mark, run)).rejects.toThrow(`Nothing reached "${mark}"`);
  });

  test("one within another counts for both", async () => {
    await expectReached(mark, () => expectReached<void>(mark, () => reached(mark)));
  });

  test("fails as what it runs fails", async () => {
    const run = (): never => {
      throw new Error(`Beside ${mark}`);
    };
    await expect(expectReached(mark, run)).rejects.toThrow(`Beside ${mark}`);
  });
});
