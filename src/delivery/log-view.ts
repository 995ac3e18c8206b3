/** What delivery sees of a log. A topic's log answers everything at once. */
import type { Cursor } from "../core/cursor.ts";
import type { Since } from "../core/since.ts";
import type { Batch } from "./batch.ts";

/** Where a subscriber goes on, and what it misses. */
export interface Resumption {
  /** The place after which its messages begin. */
  readonly cursor: Cursor;
  /** What it asked for and cannot get: what follows this, up to the cursor. */
  readonly gapFrom: Cursor | null;
}

/** A log, as whoever reads it has it. */
export interface LogView {
  /** The place of the last message. */
  readonly head: Cursor;
  /** The offset of the last message that cannot be read, 0 when all can. */
  readonly gone: number;
  /** Where a subscriber goes on that asked for a part of the past; never before what a newcomer may have. */
  resume(since: Since, nowMs: number): Resumption;
  /**
   * What follows an offset that is not gone, up to a size; `null` when nothing does. A number: what follows cannot be
   * read, up to that offset.
   */
  read(offset: number): Batch | number | null;
  /** Keeps what lies behind an offset, which the holder replays, until it names another one. */
  keepBehind(offset: number, holder: object): void;
}

/** What a replay needs of a log. */
export type ReplayedLog = Pick<LogView, "head" | "gone" | "read" | "keepBehind">;
