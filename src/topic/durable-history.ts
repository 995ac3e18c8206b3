/**
 * The history of a durable log: its rows, and what the policy's bounds make of them. Rows go when they are over the
 * bound or too old, and nobody needs them for anything else; reads are exact however late they go. The last batches
 * are in memory as well, which spares most reads.
 * Knows no SQL. Invariant: a row goes only if the policy excludes it, and it is spare.
 */
import { reached } from "../core/coverage-mark.ts";
import type { Cursor } from "../core/cursor.ts";
import type { Batch } from "../delivery/batch.ts";
import type { RecentBatches } from "../delivery/recent-batches.ts";
import type { HistoryBounds } from "./history-bounds.ts";
import type { History } from "./history.ts";
import { dropRows, LogRows, type RowIds } from "./log-rows.ts";
import type { PublishedId } from "./recent-ids.ts";
import type { RowPlace } from "./row-times.ts";

/** Messages that are kept when the policy bounds only their age. */
const MAX_MESSAGES = 100_000;
/** Rows of messages that are over the bound are deleted when there are so many of these. */
const TRIM_MESSAGES = 1024;
/** How long a shared topic's log is kept without a publisher, where no age is set. */
const VACANT_SECONDS = 86_400;
/** Least time between two deletions by age. */
const MIN_EXPIRY_STEP_MS = 30_000;

/** What there is beside the rows. */
export interface BesideRows {
  readonly recent: RecentBatches;
  /** The offset of the last message that was published before there were rows: memory alone may have it. */
  readonly unstored: number;
  /** What has to be known of the rows' times. */
  readonly corrections: readonly RowPlace[];
}

/** The durable history of one topic; goes on from the rows that are there. */
export class DurableHistory implements History {
  #bounds: HistoryBounds;
  readonly #rows: LogRows;
  readonly #recent: RecentBatches;
  readonly #unstored: number;

  /** `rows`: those that are there are kept, or are another log's and go. */
  constructor(
    storage: DurableObjectStorage,
    bounds: HistoryBounds,
    { recent, unstored, corrections }: BesideRows,
    rows: "kept" | "none" = "kept",
  ) {
    if (rows === "none") dropRows(storage.sql);
    this.#rows = new LogRows(storage, corrections);
    this.#recent = recent;
    this.#unstored = unstored;
    this.#bounds = bounds;
  }

  get bounds(): HistoryBounds {
    return this.#bounds;
  }

  /** Keeps what a policy says now; what it excludes goes later. */
  keep(bounds: HistoryBounds): void {
    this.#bounds = bounds;
  }

  get first(): number | null {
    // Memory goes on to where the rows begin, and further.
    const inMemory = this.#recent.oldest?.place.first;
    return inMemory !== undefined && inMemory <= this.#unstored ? inMemory : this.#rows.first;
  }

  get corrections(): readonly RowPlace[] {
    return this.#rows.corrections;
  }

  get vacantMs(): number {
    return (this.bounds.seconds || VACANT_SECONDS) * 1000;
  }

  /** Where the newest row ends, `null` when there are no rows. */
  get newest(): RowPlace | null {
    return this.#rows.newest;
  }

  /** The ids that the rows behind an offset hold. */
  idsBehind(offset: number): RowIds {
    return this.#rows.idsBehind(offset);
  }

  outgrowsStorage(): boolean {
    return this.#rows.areTooLarge();
  }

  shorten(): void {
    this.#rows.dropEighth();
  }

  append(batch: Batch, ids: readonly PublishedId[], spare: number): number {
    const { first, last, atMs } = batch.place;
    // As it is before the batch: if that cannot be written, nothing must be missing.
    const overBound = this.overBound(first - 1);
    const expiryMs = this.#expiryMs(atMs);
    const rows = this.#rows.append(
      batch,
      ids,
      (row) => row.last <= spare && (row.last <= overBound || row.atMs < expiryMs),
    );
    this.#recent.push(batch);
    this.#trim(Math.min(this.overBound(last), spare));
    return rows;
  }

  after(cursor: Cursor, maxBytes: number): Batch[] | number {
    return this.#recent.after(cursor.offset) ?? this.#readRows(cursor, maxBytes);
  }

  lastBefore(timeMs: number): number | null {
    // Memory has the end of the log, and of what was published before there were rows perhaps all there is.
    return this.#recent.lastBefore(timeMs) ?? this.#rows.lastBefore(timeMs);
  }

  overBound(head: number): number {
    return head - (this.bounds.messages || MAX_MESSAGES);
  }

  tooOld(nowMs: number): number {
    const { seconds } = this.bounds;
    return seconds === 0 ? 0 : (this.lastBefore(this.#expiryMs(nowMs)) ?? 0);
  }

  hasExpired(nowMs: number): boolean {
    const { oldest } = this.#rows;
    return oldest !== null && oldest.atMs < this.#expiryMs(nowMs);
  }

  expire(nowMs: number, spare: number): void {
    this.#rows.deleteUpTo(Math.min(this.tooOld(nowMs), spare));
  }

  setBack(atMs: number): void {
    this.#recent.setBack(atMs);
    this.#rows.setBack(atMs);
  }

  /** Makes times rise where a version wrote that took them as they came. */
  mendTimes(): void {
    this.#rows.mendTimes();
  }

  /** Some time later than needed, so that it is worth a wake. */
  nextExpiryMs(spare: number): number | null {
    const { oldest } = this.#rows;
    const ageMs = this.bounds.seconds * 1000;
    if (oldest === null || ageMs === 0) return null;
    if (oldest.last > spare) {
      reached("expiry-waits-for-reader");
      return null;
    }
    return oldest.atMs + ageMs + Math.max(ageMs / 2, MIN_EXPIRY_STEP_MS);
  }

  drop(): void {
    this.#rows.drop();
  }

  setAside(): void {
    this.#rows.setAside();
  }

  #readRows({ epoch, offset }: Cursor, maxBytes: number): Batch[] | number {
    try {
      return this.#rows.after(offset, maxBytes, epoch);
    } catch {
      // SQLITE_IOERR and the like: which rows are sound cannot be told.
      reached("rows-do-not-answer");
      return Infinity;
    }
  }

  /** What was published before this is too old. */
  #expiryMs(nowMs: number): number {
    const { seconds } = this.bounds;
    return seconds === 0 ? -Infinity : nowMs - seconds * 1000;
  }

  /** Deletes rows when batches have become larger, so that too few are overwritten. */
  #trim(end: number): void {
    const { first } = this.#rows;
    if (first === null || end - first < TRIM_MESSAGES) return;
    reached("rows-trimmed");
    this.#rows.deleteUpTo(end);
  }
}
