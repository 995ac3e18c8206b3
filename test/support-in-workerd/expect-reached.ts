/** Demands that a branch is taken which is rarely taken (src/core/coverage-mark.ts). */
import { listenForMarks, type Mark } from "../../src/core/coverage-mark.ts";

/** How often each was reached; tests and hub share an isolate. */
const counts: Map<Mark, number> = new Map();

listenForMarks((mark) => void counts.set(mark, countOf(mark) + 1));

/** Runs a part of a test, which fails if nothing in it reached the mark; returns what the part returns. */
export async function expectReached<T>(mark: Mark, run: () => T | Promise<T>): Promise<T> {
  const before = countOf(mark);
  const result = await run();
  if (countOf(mark) === before) throw new Error(`Nothing reached "${mark}"`);
  return result;
}

function countOf(mark: Mark): number {
  return counts.get(mark) ?? 0;
}
