/**
 * Coverage marks: a branch that is rarely taken says its name, and a test demands that it was taken. So a test cannot
 * pass beside the branch that it is there for. Nobody listens where the hub runs: a mark then costs a look at one
 * variable, and none is on the way of a message.
 * Invariant: each mark stands in the code once, and is demanded by a test (test/unit/core/coverage-mark.test.ts).
 */

/** All of them: what has happened where the mark stands. */
export const MARKS = [
  // The sequencer.
  "sender-held-up",
  "hold-cut-short-in-round",
  "hold-cut-short-between-rounds",
  "linger-cut-short",
  "linger-left-out",
  "patience-taken",
  "patience-at-its-end",
  "receipts-alone",
  "batch-full",
  "gathered-counted",
  // Delivery.
  "slow-in-round",
  "gone-when-slow",
  "send-too-late",
  "send-failed",
  "replay-stalled",
  "progress-begun-by-clock",
  "replay-waits-for-room",
  "replay-of-another-epoch",
  "past-forgotten",
  "current-and-behind",
  "topic-waited-to-be-read",
  "topic-read-meanwhile",
  "furthest-behind-closed",
  "replay-overtaken",
  "replay-unreadable",
  "replay-ended-by-gap",
  "recent-over-bytes",
  "list-unreadable",
  "list-miscounted",
  "minute-begun-by-clock",
  "gap-closes-newcomer",
  "ack-of-another-epoch",
  "frames-beyond-allowance",
  "reader-joins-ending",
  // The log.
  "row-overwritten",
  "row-missing",
  "rows-trimmed",
  "rows-over-size",
  "rows-without-first-part",
  "rows-do-not-answer",
  "rows-newer-than-meta",
  "expiry-waits-for-reader",
  "read-forgotten",
  "cursor-of-elsewhere",
  "clock-set-back",
  // The alarm.
  "alarm-lost",
  "alarm-clamped",
] as const;

/** One of them. */
export type Mark = (typeof MARKS)[number];

let listener: ((mark: Mark) => void) | null = null;

/** Says that a branch was taken. */
export function reached(mark: Mark): void {
  listener?.(mark);
}

/** Hears of every branch that is taken from now on: for tests alone. */
export function listenForMarks(onReached: (mark: Mark) => void): void {
  listener = onReached;
}
