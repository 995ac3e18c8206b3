/**
 * The port between a log and what it keeps: which batches can still be read, and for how long. A history knows nothing
 * of epochs, of ids that are looked for, or of readers; the log says up to where those do without it.
 */
import type { Cursor } from "../core/cursor.ts";
import type { Batch } from "../delivery/batch.ts";
import type { HistoryBounds } from "./history-bounds.ts";
import type { PublishedId } from "./recent-ids.ts";
import type { RowPlace } from "./row-times.ts";

/**
 * What a log keeps, and for how long. `spare` is always the offset of the last message that nothing but the history
 * itself still needs.
 */
export interface History {
  /** What the policy says is kept; `null`: nothing that outlives memory. */
  readonly bounds: HistoryBounds | null;
  /** The offset of the first message that can be read, `null` when none can. */
  readonly first: number | null;
  /** How long it is kept without a publisher, `null` when not at all. */
  readonly vacantMs: number | null;
  /** What of its times must be stored with it. */
  readonly corrections: readonly RowPlace[];
  /** Whether there is more than storage may hold, whatever the policy says; not looked at each time. */
  outgrowsStorage(): boolean;
  /** Deletes the oldest part, and the ids that it holds with it. */
  shorten(): void;
  /**
   * Takes the newest batch, with the ids of its publishes; a durable one throws if it cannot, and has not taken it.
   * Returns how many rows it took.
   */
  append(batch: Batch, ids: readonly PublishedId[], spare: number): number;
  /**
   * What follows a place, up to about so many bytes, cut to begin right behind it; empty when it has nothing there. A
   * number: what follows cannot be read, up to that offset, which may lie beyond the head.
   */
  after(cursor: Cursor, maxBytes: number): Batch[] | number;
  /** The offset of the last message published before a time; `null` when it is not known. */
  lastBefore(timeMs: number): number | null;
  /** The offset of the last message that the policy's number excludes, 0 or less when none. */
  overBound(head: number): number;
  /** The offset of the last message it has that the policy's age excludes, 0 when none. */
  tooOld(nowMs: number): number;
  /** Whether there is something to delete for its age. */
  hasExpired(nowMs: number): boolean;
  /** Deletes what is too old. */
  expire(nowMs: number, spare: number): void;
  /** Sets what was published at a later time to this one. */
  setBack(atMs: number): void;
  /** When there will be something to delete; `null`: nothing will, or something else still needs it. */
  nextExpiryMs(spare: number): number | null;
  /** Deletes everything that outlives memory. */
  drop(): void;
  /** Instead of that: makes way for the next history. From here on it is only read, by who began before. */
  setAside(): void;
}
