/** Bounds of histories, and which of two keeps less. */
import { expect, test } from "vitest";
import { DEFAULT_POLICY } from "../../../src/core/policy.ts";
import {
  historyBoundsOf,
  isSameHistory,
  keepsLess,
  type HistoryBounds,
} from "../../../src/topic/history-bounds.ts";

/** Reads "5 60" as 5 messages and 60 seconds, "none" as no history. */
function parse(text: string): HistoryBounds | null {
  if (text === "none") return null;
  const [messages = 0, seconds = 0] = text.split(" ").map(Number);
  return { messages, seconds };
}

test.each([
  [0, 0, "none"],
  [5, 0, "5 0"],
  [0, 60, "0 60"],
  [5, 60, "5 60"],
])("%d messages and %d seconds in a policy: %s", (historyMessages, historySeconds, bounds) => {
  const policy = { ...DEFAULT_POLICY, historyMessages, historySeconds };
  expect(historyBoundsOf(policy)).toEqual(parse(bounds));
});

test.each([
  ["none", "none", true],
  ["none", "5 0", false],
  ["5 60", "5 60", true],
  ["5 60", "5 61", false],
  ["5 60", "6 60", false],
])("%s and %s keep the same: %s", (one, other, isSame) => {
  expect(isSameHistory(parse(one), parse(other))).toBe(isSame);
  expect(isSameHistory(parse(other), parse(one))).toBe(isSame);
});

test.each([
  ["none", "none", false],
  ["5 0", "none", false],
  ["none", "5 0", true],
  ["5 60", "5 60", false],
  ["4 60", "5 60", true],
  ["5 59", "5 60", true],
  ["6 59", "5 60", true],
  ["6 61", "5 60", false],
  // 0 is no bound.
  ["0 60", "5 60", false],
  ["5 60", "0 60", true],
  ["5 60", "5 0", true],
  ["5 0", "5 60", false],
])("%s keeps less than %s: %s", (bounds, than, isLess) => {
  expect(keepsLess(parse(bounds), parse(than))).toBe(isLess);
});
