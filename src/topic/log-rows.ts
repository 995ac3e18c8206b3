/**
 * The durable log: one row a batch in the object's SQLite, packed as the JSON that the stream sends. What
 * is written in an event is durable before anything that follows it leaves the object (output gate).
 * Knows rows, not policies: its owner says which may go.
 * Written rows are what storage costs, deleted ones too, so a row that may go is overwritten by the new one.
 */
import * as v from "valibot";
import { byteLengthOf } from "../core/byte-size.ts";
import { reached } from "../core/coverage-mark.ts";
import { SPAN_BYTES } from "../core/span.ts";
import { Batch } from "../delivery/batch.ts";
import { PublishedIdsSchema, type PublishedId } from "./recent-ids.ts";
import { RowTimes, type RowPlace, type RowTime } from "./row-times.ts";

/** Bytes that a UTF-16 unit takes at most. */
const BYTES_A_UNIT = 3;
/** A row holds at most 2 MB (platform limits), and a text is cut by units; ids, which are ASCII, count as well. */
const MAX_PART_UNITS = 600_000;
/** Rows that one batch may need: 32 MiB of text at six units of JSON a character. */
const PARTS = 512;
/** Rows looked through for ids on waking: more than this version leaves behind, as many as the version before did. */
const MAX_ID_ROWS = 2000;
/** Bytes of all rows; beyond them the oldest go, whatever the policy says. */
const MAX_BYTES = 256 * 1024 * 1024;
/** Rows that are read at a time. */
const MAX_ROWS_AT_ONCE = 64;
/** UTF-16 units written between two looks at how much there is: when to look need not be exact. */
const UNITS_BETWEEN_LOOKS = 4 * 1024 * 1024;

/** The name of a table that was set aside, before its number. */
const PAST = "past_log_";

/** A row as it is read; sql.exec wants a type, not an interface. */
type Row = {
  readonly id: number;
  readonly last: number;
  readonly at: number;
  readonly list: string;
};

interface OldestRow extends RowPlace {
  readonly id: number;
}

/** The ids that some rows hold. */
export interface RowIds {
  /** Oldest first. */
  readonly ids: readonly PublishedId[];
  /** How many rows were looked at. */
  readonly rows: number;
}

/** The rows of one topic. */
export class LogRows {
  readonly #storage: DurableObjectStorage;
  readonly #sql: SqlStorage;
  readonly #times: RowTimes;
  #table = "log";
  #oldest: OldestRow | null;
  #newest: RowTime | null;
  #unitsSinceLook = 0;

  /** `corrections`: what `corrections` said of the rows when they were last stored. */
  constructor(storage: DurableObjectStorage, corrections: readonly RowPlace[] = []) {
    const { sql } = storage;
    this.#storage = storage;
    this.#sql = sql;
    this.#times = new RowTimes(corrections);
    // The id is the offset of the batch's first message times PARTS, plus the number of the part.
    sql.exec(`create table if not exists log
      (id integer primary key, last integer not null, at integer not null, ids text, list text not null)`);
    this.#oldest = this.#findOldest();
    this.#newest = this.#findUpTo(Number.MAX_SAFE_INTEGER);
  }

  /** The offset of the first message that can be read, `null` when there are no rows. */
  get first(): number | null {
    if (this.#oldest === null) return null;
    const { id, last } = this.#oldest;
    if (id % PARTS === 0) return id / PARTS;
    // Of a batch whose first part was overwritten the others are no use.
    reached("rows-without-first-part");
    return last + 1;
  }

  /** The oldest row's place, `null` when there is none. */
  get oldest(): RowPlace | null {
    return this.#oldest;
  }

  /** The newest row's place, `null` when there is none. */
  get newest(): RowPlace | null {
    return this.#newest;
  }

  /** What must be known of the rows' times beside the rows. */
  get corrections(): readonly RowPlace[] {
    return this.#times.corrections;
  }

  /** Sets the times of all rows that lie ahead of a time to that time. */
  setBack(atMs: number): void {
    if (this.#newest !== null) this.#setBack(this.#newest.last, atMs);
  }

  /** Makes times rise where a version wrote that took them as they came; looks at all rows. */
  mendTimes(): void {
    if (this.#newest === null) return;
    const [ahead] = this.#sql
      .exec<{ last: number }>(
        "select last from log where at > ? order by id desc limit 1",
        this.#newest.atMs,
      )
      .toArray();
    if (ahead === undefined) return;
    const [next] = this.#sql
      .exec<{ at: number }>(
        "select at from log where id >= ? order by id limit 1",
        (ahead.last + 1) * PARTS,
      )
      .toArray();
    if (next !== undefined) this.#setBack(ahead.last, next.at);
  }

  /** The ids of the publishes that the rows behind an offset hold, as far as the newest reach back. */
  idsBehind(offset: number): RowIds {
    const rows = this.#sql
      .exec<{ ids: string | null }>(
        "select ids from log where id >= ? order by id desc limit ?",
        (offset + 1) * PARTS,
        MAX_ID_ROWS,
      )
      .toArray();
    const ids = rows
      .toReversed()
      .flatMap((row) => (row.ids === null ? [] : v.parse(PublishedIdsSchema, JSON.parse(row.ids))));
    return { ids, rows: rows.length };
  }

  /**
   * Writes a batch, all of it or nothing; overwrites the oldest row if `mayGo` allows it. Returns how many rows it took.
   */
  append(batch: Batch, ids: readonly PublishedId[], mayGo: (row: RowPlace) => boolean): number {
    const { first, last, atMs } = batch.place;
    const packedIds = ids.length === 0 ? null : JSON.stringify(ids);
    const parts = splitList(batch.list, Math.ceil((packedIds?.length ?? 0) / BYTES_A_UNIT));
    const rows = parts.map((list, part) => [
      first * PARTS + part,
      last,
      atMs,
      part === 0 ? packedIds : null,
      list,
    ]);
    const write = (): void => {
      for (const row of rows) this.#write(row, mayGo);
    };
    // One row is all or nothing by itself.
    if (rows.length === 1) write();
    else this.#inTransaction(write);
    this.#oldest ??= { id: first * PARTS, last, atMs };
    this.#newest = { first, last, atMs };
    this.#times.append(this.#newest);
    this.#unitsSinceLook += batch.list.length;
    return rows.length;
  }

  /** Deletes all rows that end at or before an offset. */
  deleteUpTo(offset: number): void {
    this.#sql.exec("delete from log where id < ? and last <= ?", (offset + 1) * PARTS, offset);
    this.#oldest = this.#findOldest();
  }

  /** The offset of the last message published before a time; `null` when there is none. */
  lastBefore(timeMs: number): number | null {
    const [oldest, newest] = [this.#oldest, this.#newest];
    if (oldest === null || newest === null || oldest.atMs >= timeMs) return null;
    if (newest.atMs < timeMs) return newest.last;
    return this.#times.lastBefore(timeMs, { oldest, newest }, (offset) => this.#findUpTo(offset));
  }

  /**
   * What follows an offset, up to a size or one batch; begins right behind it, and ends before what cannot be read. A
   * number: nothing right behind it can, up to that offset.
   */
  after(offset: number, maxBytes: number, epoch: string): Batch[] | number {
    const next = (offset + 1) * PARTS;
    // The batch that holds the next message may begin before it.
    const [at] = this.#sql
      .exec<{ id: number | null }>(`select max(id) as id from ${this.#table} where id <= ?`, next)
      .toArray();
    const from = Math.floor((at?.id ?? 0) / PARTS) * PARTS;
    const batches: Batch[] = [];
    let expected = offset + 1;
    let bytes = 0;
    for (const { first, last, atMs: storedMs, list } of joinParts(this.#read(from, offset))) {
      const isMissing = first > expected;
      const atMs = this.#times.correct(last, storedMs);
      const batch = isMissing ? null : Batch.ofList({ epoch, first, last, atMs }, list);
      if (isMissing) reached("row-missing");
      if (batch === null) {
        const unreadable = isMissing ? first - 1 : last;
        return batches.length > 0 ? batches : Math.max(unreadable, expected);
      }
      batches.push(batch.after(offset));
      expected = last + 1;
      bytes += byteLengthOf(list) + SPAN_BYTES;
      if (bytes >= maxBytes) break;
    }
    return batches;
  }

  /**
   * The rows from an id on that end behind an offset. A few at a time, each time to the end of the cursor: one that
   * is left open keeps the table from being dropped (SQLITE_LOCKED), and so the topic from ending.
   */
  *#read(from: number, offset: number): Generator<Row> {
    for (let next = from, limit = 1; ; limit = Math.min(limit * 2, MAX_ROWS_AT_ONCE)) {
      const rows = this.#sql
        .exec<Row>(
          `select id, last, at, list from ${this.#table} where id >= ? and last > ? order by id limit ?`,
          next,
          offset,
          limit,
        )
        .toArray();
      yield* rows;
      const last = rows.at(-1);
      if (last === undefined || rows.length < limit) return;
      next = last.id + 1;
    }
  }

  /** Deletes all rows, and the table, which costs nothing. */
  drop(): void {
    dropRows(this.#sql);
    this.#oldest = null;
    this.#newest = null;
  }

  /** Makes way for the rows of the next log: from here on these are only read, until they are dropped. */
  setAside(): void {
    const taken = tablesSetAside(this.#sql);
    let number = 1;
    while (taken.includes(PAST + number)) number += 1;
    this.#table = PAST + number;
    this.#sql.exec(`alter table log rename to ${this.#table}`);
  }

  #write(row: readonly (string | number | null)[], mayGo: (row: RowPlace) => boolean): void {
    if (this.#oldest === null || !mayGo(this.#oldest)) {
      this.#sql.exec("insert into log (id, last, at, ids, list) values (?, ?, ?, ?, ?)", ...row);
      return;
    }
    reached("row-overwritten");
    this.#sql.exec(
      "update log set id = ?, last = ?, at = ?, ids = ?, list = ? where id = ?",
      ...row,
      this.#oldest.id,
    );
    this.#oldest = this.#findOldest();
  }

  #inTransaction(write: () => void): void {
    try {
      this.#storage.transactionSync(write);
    } catch (error) {
      // What was overwritten is there again.
      this.#oldest = this.#findOldest();
      throw error;
    }
  }

  #setBack(last: number, atMs: number): void {
    this.#times.setBack(last, atMs);
    this.#oldest = this.#findOldest();
    this.#newest = this.#findUpTo(Number.MAX_SAFE_INTEGER);
  }

  #findOldest(): OldestRow | null {
    const [row] = this.#sql
      .exec<{ id: number; last: number; at: number }>(
        "select id, last, at from log order by id limit 1",
      )
      .toArray();
    const oldest = row === undefined ? null : { id: row.id, ...this.#timeOf(row) };
    this.#times.forgetBefore(oldest);
    return oldest;
  }

  /** The row of an offset, or the last one before it. */
  #findUpTo(offset: number): RowTime | null {
    const [row] = this.#sql
      .exec<{ id: number; last: number; at: number }>(
        "select id, last, at from log where id < ? order by id desc limit 1",
        Math.min((offset + 1) * PARTS, Number.MAX_SAFE_INTEGER),
      )
      .toArray();
    return row === undefined ? null : this.#timeOf(row);
  }

  #timeOf({ id, last, at }: Pick<Row, "id" | "last" | "at">): RowTime {
    return { first: Math.floor(id / PARTS), last, atMs: this.#times.correct(last, at) };
  }

  /** Whether rows have more bytes than they may, looked at when much was written. */
  areTooLarge(): boolean {
    if (this.#unitsSinceLook < UNITS_BETWEEN_LOOKS) return false;
    this.#unitsSinceLook = 0;
    return this.#sql.databaseSize > MAX_BYTES;
  }

  /** Deletes the oldest eighth, but never the newest batch. */
  dropEighth(): void {
    const [row] = this.#sql
      .exec<{ last: number }>(
        `select last from log where last < (select max(last) from log) order by id
          limit 1 offset (select count(*) / 8 from log)`,
      )
      .toArray();
    if (row === undefined) return;
    reached("rows-over-size");
    this.deleteUpTo(row.last);
  }
}

/** Deletes all rows that there may be, and the table, which costs nothing. */
export function dropRows(sql: SqlStorage): void {
  sql.exec("drop table if exists log");
}

/** Deletes all rows that were set aside. */
export function dropRowsSetAside(sql: SqlStorage): void {
  for (const table of tablesSetAside(sql)) sql.exec(`drop table ${table}`);
}

function tablesSetAside(sql: SqlStorage): string[] {
  const tables = sql.exec<{ name: string }>(
    "select name from sqlite_master where name glob ?",
    `${PAST}*`,
  );
  return tables.toArray().map(({ name }) => name);
}

/** A batch as its rows have it. */
interface Parts extends RowPlace {
  /** The offset of its first message. */
  readonly first: number;
  list: string;
  next: number;
}

/** Puts the rows of each batch together; where one of them is missing its list is cut, and no JSON. */
function* joinParts(rows: Iterable<Row>): Generator<Parts> {
  let parts: Parts | null = null;
  for (const { id, last, at: atMs, list } of rows) {
    const first = Math.floor(id / PARTS);
    if (parts !== null && parts.first !== first) {
      yield parts;
      parts = null;
    }
    parts ??= { first, last, atMs, list: "", next: first * PARTS };
    if (id === parts.next) parts.list += list;
    parts.next += 1;
  }
  if (parts !== null) yield parts;
}

/** Cuts a text into pieces that fit a row, of the first of which some is taken; never within a surrogate pair. */
function splitList(list: string, takenUnits: number): string[] {
  const parts: string[] = [];
  let room = Math.max(0, MAX_PART_UNITS - takenUnits);
  for (let start = 0; start < list.length; room = MAX_PART_UNITS) {
    let end = Math.min(list.length, start + room);
    const last = list.charCodeAt(end - 1);
    if (end < list.length && last >= 0xd800 && last < 0xdc00) end -= 1;
    parts.push(list.slice(start, end));
    start = end;
  }
  return parts;
}
