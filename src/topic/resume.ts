/**
 * From where in the past a subscriber goes on, and what it misses (PROTOCOL.md, 9.4 and 9.6). Answers exactly, however
 * late a history lets go of what the policy excludes. Changes nothing.
 */
import { reached } from "../core/coverage-mark.ts";
import type { Cursor } from "../core/cursor.ts";
import type { Since } from "../core/since.ts";
import type { Resumption } from "../delivery/log-view.ts";
import type { History } from "./history.ts";

/** What there is to go on from. */
export interface Past {
  /** The place of the last message. */
  readonly head: Cursor;
  /** When it was published; milliseconds since the epoch. */
  readonly headAtMs: number;
  /** The offset of the last message that cannot be read. */
  readonly gone: number;
  readonly history: Pick<History, "overBound" | "tooOld" | "lastBefore">;
}

/** Where a subscriber goes on that asked for a part of the past. */
export function resume(since: Since, past: Past, nowMs: number): Resumption {
  const { head, headAtMs, gone, history } = past;
  const tooOld = history.tooOld(nowMs);
  // The place before the first message that may be asked for: some that are not gone must not be, any more.
  const earliest = { ...head, offset: Math.max(gone, history.overBound(head.offset), tooOld) };
  switch (since.type) {
    case "earliest":
      return { cursor: earliest, gapFrom: null };
    case "last":
      return goOn({ ...head, offset: Math.max(0, head.offset - since.count) }, earliest);
    case "duration": {
      const startMs = nowMs - since.ms;
      if (headAtMs < startMs) return goOn(head, earliest);
      const before = history.lastBefore(startMs) ?? 0;
      // When what is gone was published is not known, but for what went by its age.
      const known = earliest.offset === tooOld ? Math.max(before, tooOld) : before;
      return goOn({ ...head, offset: known }, earliest);
    }
    case "cursor": {
      const { cursor } = since;
      if (cursor.epoch !== head.epoch) {
        reached("cursor-of-elsewhere");
        return { cursor: earliest, gapFrom: cursor };
      }
      // What it names was lost, and who knows what else: it has all there is, and is told of a gap without a size.
      if (cursor.offset > head.offset) return { cursor: head, gapFrom: head };
      return goOn(cursor, earliest);
    }
  }
}

function goOn(cursor: Cursor, earliest: Cursor): Resumption {
  return cursor.offset >= earliest.offset
    ? { cursor, gapFrom: null }
    : { cursor: earliest, gapFrom: cursor };
}
