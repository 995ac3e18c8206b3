/** What delivery sees of a log. A topic's log answers everything at once. */
import type { Cursor } from "../core/cursor.ts";
import type { Batch } from "./batch.ts";

/** A log, as whoever reads it has it. */
export interface LogView {
  /** The place of the last message. */
  readonly head: Cursor;
  /** The offset of the last message that cannot be read, 0 when all can. */
  readonly gone: number;
  /**
   * What follows an offset that is not lost, up to a size; `null` when nothing does. A number: what follows cannot be
   * read, up to that offset.
   */
  read(offset: number): Batch | number | null;
  /** Keeps what lies behind an offset, which is being replayed, until it is told another one. */
  hold(offset: number): void;
}
