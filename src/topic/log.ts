/**
 * The log of a topic: gives every message its offset, and answers from where in the past a subscriber can go on
 * (PROTOCOL.md, section 9). What it keeps is its history's affair, of which it has one at a time: in memory, or durable.
 * Knows no sockets and no rows. Invariant: an epoch and an offset never stand for two messages.
 */
import { reached } from "../core/coverage-mark.ts";
import { epochOf, type Cursor } from "../core/cursor.ts";
import type { EndReason } from "../core/end-reason.ts";
import type { Policy } from "../core/policy.ts";
import type { Since } from "../core/since.ts";
import { Batch } from "../delivery/batch.ts";
import type { LogView, Resumption } from "../delivery/log-view.ts";
import { RecentBatches } from "../delivery/recent-batches.ts";
import { DurableHistory } from "./durable-history.ts";
import { historyBoundsOf, isSameHistory, keepsLess, type HistoryBounds } from "./history-bounds.ts";
import type { History } from "./history.ts";
import { deleteLogMeta, loadLogMeta, storeLogMeta, type LogPosition } from "./log-meta.ts";
import { dropRows, dropRowsSetAside } from "./log-rows.ts";
import { MemoryHistory } from "./memory-history.ts";
import type { Owner } from "./owner.ts";
import { PastLog } from "./past-log.ts";
import { listOf, type Publication } from "./publication.ts";
import { RecentIds, type PublishedId } from "./recent-ids.ts";
import { ReplayReads } from "./replay-reads.ts";
import { resume } from "./resume.ts";
import type { RowPlace } from "./row-times.ts";

/** Ids in a position: with 64 characters each they fit an attachment of 16 KiB (platform limits). */
const POSITION_IDS = 128;
/** Rows after which all ids are stored at the latest: it costs a row, and waking reads as many. */
const ROWS_BETWEEN_STORES = 256;
/** A clock that is behind by no more waits for the log's times; what is set right in steps is further off (ntpd). */
const MAX_AHEAD_MS = 100;

/** A publish that is in the log. */
export interface Logged {
  /** That of its content, `null` where the version before stored it. */
  readonly fingerprint: number | null;
  readonly cursor: Cursor;
}

/** The log of one topic. */
export class Log implements LogView {
  readonly #storage: DurableObjectStorage;
  #epoch: string = newEpoch();
  #head = 0;
  #headAtMs = 0;
  #ids: RecentIds = new RecentIds();
  /** How many rows were written since all ids were stored. */
  #rowsSinceStore = 0;
  /** The offset up to which ids are stored beside the rows, or not at all: rows behind it hold the only ones. */
  #idsStoredTo = Infinity;
  #recent: RecentBatches = new RecentBatches();
  #history: History = new MemoryHistory(this.#recent);
  #keepUntilMs: number | null = null;
  /** How the life ended in which something was last published, `null` while it is not over. */
  #ended: EndReason | null = null;
  /** Up to where each replay has read. */
  readonly #holds: Map<object, number> = new Map();
  #keptBehind = Infinity;
  /** Whether somebody may still be replayed to out of the log of a life that is over. */
  #isPastRead = false;
  /** The offset of the last message that was published before the history became durable. */
  #unstored = 0;
  #policyAtMs = 0;
  /** Whether its place is known: it was restored, or something has happened here since. */
  #isPlaced = false;
  #reads: ReplayReads = new ReplayReads();
  /** Where it began anew when it was told to forget, `null`: it never was. */
  #forgottenAt: Cursor | null = null;

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage;
  }

  /** Goes on from what is stored: always if it is durable, else only if `isPositionTrue`. */
  load(isPositionTrue: boolean): void {
    const meta = loadLogMeta(this.#storage);
    if (meta === null) return;
    if (meta.history === null) {
      if (isPositionTrue) this.restore(meta.position);
      return;
    }
    this.restore(meta.position);
    this.#keepUntilMs = meta.keepUntilMs;
    this.#ended = meta.ended;
    this.#policyAtMs = meta.policyAtMs;
    const { history: bounds, corrections } = meta;
    const history = this.#openDurable(bounds, corrections ?? [], "kept");
    this.#history = history;
    if (corrections === null) history.mendTimes();
    const { newest } = history;
    if (newest !== null && newest.last > this.#head) {
      reached("rows-newer-than-meta");
      this.#head = newest.last;
      this.#headAtMs = newest.atMs;
      this.#ended = null;
    }
    const { ids, rows } = history.idsBehind(meta.position.offset);
    for (const id of ids) this.#ids.add(id);
    this.#rowsSinceStore = rows;
    if (ids.length > 0) this.#idsStoredTo = meta.position.offset;
    // So that all rows are looked at once, and not at each wake.
    if (corrections === null) this.store();
  }

  /** Goes on from a position that outlived memory. */
  restore({ epoch, offset, atMs, ids }: LogPosition): void {
    this.#isPlaced = true;
    this.#epoch = epoch;
    this.#head = offset;
    this.#headAtMs = atMs;
    this.#ids = new RecentIds(ids);
  }

  /**
   * The same with one that turns up late: a member carried it whose leaving has woken the object, and that was not
   * among the sockets then. It counts unless more is known by now; whether it does.
   */
  restoreLate(position: LogPosition): boolean {
    const isNewer = position.epoch === this.#epoch && position.offset > this.#head;
    if (this.isDurable || (!isNewer && this.#isPlaced)) return false;
    this.restore(position);
    return true;
  }

  /** Whether what it takes survives a restart. */
  get isDurable(): boolean {
    return this.#history.bounds !== null;
  }

  /** The place of the last message. */
  get head(): Cursor {
    return { epoch: this.#epoch, offset: this.#head };
  }

  get position(): LogPosition {
    return this.positionWith(POSITION_IDS);
  }

  /** Where it is, with so many of the last ids. */
  positionWith(count: number): LogPosition {
    const ids = this.#ids.newest(count);
    return { epoch: this.#epoch, offset: this.#head, atMs: this.#headAtMs, ids };
  }

  /** When the policy held by which it keeps what it keeps, by the key store's clock; 0 when that is not known. */
  get policyAtMs(): number {
    return this.isDurable ? this.#policyAtMs : 0;
  }

  /** Whether a policy keeps anything else than what is kept now. */
  wouldChange(policy: Policy): boolean {
    return !isSameHistory(historyBoundsOf(policy), this.#history.bounds);
  }

  /** Whether what is kept now would not be, or not for as long, by a policy. */
  wouldKeepLess(policy: Policy): boolean {
    return keepsLess(historyBoundsOf(policy), this.#history.bounds);
  }

  /** Keeps what a policy says from now on; `atMs`: when it held, by the key store's clock. */
  configure(policy: Policy, atMs: number): void {
    this.#policyAtMs = atMs;
    const bounds = historyBoundsOf(policy);
    if (isSameHistory(bounds, this.#history.bounds)) return;
    if (bounds === null) {
      this.#dropHistory();
      return;
    }
    // What is stored first: if that fails, nothing has changed.
    this.#store(bounds);
    // The same rows, which those who read the log of a life that is over may have as well.
    if (this.#history instanceof DurableHistory) {
      this.#history.keep(bounds);
      return;
    }
    this.#unstored = this.#head;
    this.#history = this.#openDurable(bounds, [], "none");
  }

  /** Writes what storage must know beside the rows. */
  store(): void {
    this.#store(this.#history.bounds);
  }

  #store(history: HistoryBounds | null): void {
    // All ids, so that the rows up to here may go whatever they hold. A value holds 2 MB (platform limits).
    storeLogMeta(this.#storage, {
      v: 1,
      position: this.positionWith(history === null ? POSITION_IDS : Infinity),
      history,
      keepUntilMs: this.#keepUntilMs,
      ended: this.#ended,
      policyAtMs: this.#policyAtMs,
      corrections: this.#history.corrections,
    });
    this.#nothingSinceStore();
  }

  /** Makes sure that storage says nothing of where the log is. */
  forgetStored(): void {
    deleteLogMeta(this.#storage);
  }

  /**
   * The topic has ended: only what is kept for a time outlives it. Answers with the log as it is now, which stays as it
   * is for those who are still replayed to, until it is discarded.
   */
  end(
    isReplayed: boolean,
    reason: EndReason,
    { isShared = false }: { readonly isShared?: boolean } = {},
  ): PastLog {
    const past = new PastLog(this, this.#history);
    this.#isPastRead ||= isReplayed;
    // A publisher that only came and left again has not abandoned what another one has finished.
    if (reason !== "abandoned") this.#ended = reason;
    else this.#ended ??= reason;
    // A shared topic's is kept for a day, and that of a life that was over before for as long as was said then.
    const isKept = isShared || this.#keepUntilMs !== null;
    if (this.isDurable && (isKept || (this.#history.bounds?.seconds ?? 0) > 0)) return past;
    if (this.isDurable) this.#dropHistory();
    this.reset();
    return past;
  }

  /** Whether anything is left of a life that is over, to be read. */
  hasPast(nowMs: number): boolean {
    if (this.#keepUntilMs === null || nowMs >= this.#keepUntilMs) return false;
    return this.countReadable(nowMs) > 0;
  }

  /** How many messages can be read. */
  countReadable(nowMs: number): number {
    return this.#head - this.resume({ type: "earliest" }, nowMs).cursor.offset;
  }

  /** The log of a life that is over, which is kept for a time, to be read until it is discarded. */
  past(): PastLog {
    this.#isPastRead = true;
    return new PastLog(this, this.#history);
  }

  /** How that life ended; one of a version before, which kept no reason, was abandoned. */
  get ended(): EndReason {
    return this.#ended ?? "abandoned";
  }

  /** Whether somebody may be replayed to out of the log of a life that is over. */
  get isPastRead(): boolean {
    return this.#isPastRead;
  }

  /** Nobody is replayed to any more out of the log of a life that is over. */
  discardPast(): void {
    this.#isPastRead = false;
    dropRowsSetAside(this.#storage.sql);
  }

  /** The last publisher has left: says until when the log is kept, `null` when not at all. */
  retire(nowMs: number): number | null {
    const { vacantMs } = this.#history;
    if (vacantMs === null) return null;
    this.#keepUntilMs = nowMs + vacantMs;
    this.store();
    return this.#keepUntilMs;
  }

  /** Forgets everything, in memory; nothing that was said of the old epoch holds for the new one. */
  reset(): void {
    this.#beginAnew();
    this.#holds.clear();
    this.#keptBehind = Infinity;
  }

  /**
   * Forgets everything that was published, wherever it is kept. `goesOn`: what is published next is kept as before.
   * Where it throws memory and storage differ. Replays hold what they held until they look: too much, never too little.
   */
  forget({ goesOn }: { readonly goesOn: boolean }): void {
    const { bounds } = this.#history;
    const { sql } = this.#storage;
    deleteLogMeta(this.#storage);
    dropRows(sql);
    dropRowsSetAside(sql);
    this.#beginAnew();
    this.#forgottenAt = this.head;
    if (!goesOn || bounds === null) return;
    this.#history = this.#openDurable(bounds, [], "none");
    this.store();
  }

  /** Where the log began anew when it last had to forget; another object each time, `null`: it never had to. */
  get forgottenAt(): Cursor | null {
    return this.#forgottenAt;
  }

  #beginAnew(): void {
    this.#isPlaced = true;
    this.#epoch = newEpoch();
    this.#head = 0;
    this.#headAtMs = 0;
    this.#ids = new RecentIds();
    this.#nothingSinceStore();
    this.#recent = new RecentBatches();
    this.#history = new MemoryHistory(this.#recent);
    this.#keepUntilMs = null;
    this.#ended = null;
    this.#unstored = 0;
    this.#reads = new ReplayReads();
  }

  /**
   * Sees to it that times rise: what a clock wrote that was ahead is set to now, once. Returns when what happens now
   * was published, which is never before what the log has.
   */
  keepTime(nowMs: number): number {
    const latestMs = nowMs + (this.#history.vacantMs ?? Infinity);
    if (this.#keepUntilMs !== null) this.#keepUntilMs = Math.min(this.#keepUntilMs, latestMs);
    if (this.#headAtMs - nowMs > MAX_AHEAD_MS) {
      reached("clock-set-back");
      this.#headAtMs = nowMs;
      this.#history.setBack(nowMs);
      // They have the times of before.
      this.#reads = new ReplayReads();
      if (this.isDurable) this.store();
    }
    return Math.max(nowMs, this.#headAtMs);
  }

  /** Until when a log without publisher is kept, `null` when it was not said; milliseconds since the epoch. */
  get keepUntilMs(): number | null {
    return this.#keepUntilMs;
  }

  /** Whether somebody is replayed to who is to have what it holds. */
  get isHeld(): boolean {
    return this.#keptBehind !== Infinity;
  }

  /** Whether a log without publisher has outlived its time; one of which nothing is stored goes with the memory. */
  isOver(nowMs: number): boolean {
    return !this.isHeld && this.#keepUntilMs !== null && nowMs >= this.#keepUntilMs;
  }

  /** An owner's publish that was taken before, `null` when its id is not among the last. */
  find(owner: Owner, id: string): Logged | null {
    const [, offset, fingerprint = null] = this.#ids.find(owner, id) ?? [];
    return offset === undefined ? null : { fingerprint, cursor: { epoch: this.#epoch, offset } };
  }

  /**
   * Takes publications, in order, as one batch; `null` when none has messages. A durable log throws when
   * storage fails: then nothing was taken.
   */
  append(publications: readonly Publication[], nowMs: number): Batch | null {
    const messages = publications.flatMap((publication) => publication.messages);
    if (messages.length === 0) return null;
    const atMs = this.keepTime(nowMs);
    const place = {
      epoch: this.#epoch,
      first: this.#head + 1,
      last: this.#head + messages.length,
      atMs,
    };
    const batch = Batch.ofMessages(place, messages, listOf(publications));
    const ids: PublishedId[] = [];
    let offset = this.#head;
    for (const { messages: own, receipt } of publications) {
      offset += own.length;
      const name = receipt?.name ?? null;
      if (name !== null) ids.push([name.id, offset, name.fingerprint, name.owner]);
    }
    // Before the batch is written: if that cannot be, nothing was taken.
    this.#makeRoom();
    const spare = Math.min(this.#idsStoredTo, this.#keptBehind);
    this.#rowsSinceStore += this.#history.append(batch, ids, spare);
    if (ids.length > 0) this.#idsStoredTo = Math.min(this.#idsStoredTo, this.#head);
    this.#isPlaced = true;
    this.#ended = null;
    this.#head = place.last;
    this.#headAtMs = atMs;
    for (const id of ids) this.#ids.add(id);
    return batch;
  }

  keepBehind(offset: number, holder: object): void {
    if (offset === Infinity) this.#holds.delete(holder);
    else this.#holds.set(holder, offset);
    this.#keptBehind = Math.min(...this.#holds.values());
  }

  get gone(): number {
    return (this.#history.first ?? this.#head + 1) - 1;
  }

  resume(since: Since, nowMs: number): Resumption {
    this.keepTime(nowMs);
    const { head, gone } = this;
    return resume(since, { head, headAtMs: this.#headAtMs, gone, history: this.#history }, nowMs);
  }

  read(offset: number): Batch | number | null {
    if (offset >= this.#head) return null;
    const read = this.#reads.read({ epoch: this.#epoch, offset }, this.#history);
    return typeof read === "number" ? Math.min(read, this.#head) : read;
  }

  /** Deletes what is too old. */
  expire(nowMs: number): void {
    this.keepTime(nowMs);
    if (!this.#history.hasExpired(nowMs)) return;
    // Where the log ends, and the last ids, must not go with the rows.
    this.store();
    this.#history.expire(nowMs, this.#keptBehind);
  }

  /** When there will be something to delete; `null`: nothing will, or it is being replayed. */
  get nextExpiryMs(): number | null {
    return this.#history.nextExpiryMs(this.#keptBehind);
  }

  /** Stores all ids, so that no row is kept for their sake, and lets go of what storage cannot hold. */
  #makeRoom(): void {
    const isTooLarge = this.#history.outgrowsStorage();
    if (isTooLarge || this.#rowsSinceStore >= ROWS_BETWEEN_STORES) this.store();
    if (isTooLarge) this.#history.shorten();
  }

  #openDurable(
    bounds: HistoryBounds,
    corrections: readonly RowPlace[],
    rows: "kept" | "none",
  ): DurableHistory {
    const beside = { recent: this.#recent, unstored: this.#unstored, corrections };
    return new DurableHistory(this.#storage, bounds, beside, rows);
  }

  #nothingSinceStore(): void {
    this.#rowsSinceStore = 0;
    this.#idsStoredTo = Infinity;
  }

  #dropHistory(): void {
    // What is stored first: if that fails, nothing has changed.
    deleteLogMeta(this.#storage);
    if (this.#isPastRead) this.#history.setAside();
    else this.#history.drop();
    this.#nothingSinceStore();
    this.#history = new MemoryHistory(this.#recent);
    this.#keepUntilMs = null;
  }
}

function newEpoch(): string {
  return epochOf(crypto.getRandomValues(new Uint8Array(12)));
}
