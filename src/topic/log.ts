/**
 * The log of a topic: gives every message its offset, remembers what the policy says, in memory alone or
 * durably, and answers from where in the past a subscriber can go on (PROTOCOL.md, section 9).
 * Knows no sockets. Invariant: an epoch and an offset never stand for two messages.
 */
import * as v from "valibot";
import { bytesOf } from "../core/byte-size.ts";
import { epochOf, type Cursor } from "../core/cursor.ts";
import type { Policy } from "../core/policy.ts";
import type { Since } from "../core/since.ts";
import { Batch } from "../delivery/batch.ts";
import { LogRows, type RowPlace } from "./log-rows.ts";
import type { Publication } from "./publication.ts";
import { PublishWindow, type PublishedId } from "./publish-window.ts";
import type { LogView, Resumption } from "../delivery/log-view.ts";
import { RecentBatches } from "../delivery/recent-batches.ts";

/** What a log keeps durably; 0 sets no bound of its kind. */
export interface History {
  readonly messages: number;
  readonly seconds: number;
}

/** What must outlive memory for a log that is not durable to go on without a false gap. */
export interface LogPosition {
  readonly epoch: string;
  /** The offset of the last message, 0 before the first. */
  readonly offset: number;
  /** When it was published; milliseconds since the epoch. */
  readonly atMs: number;
  readonly ids: readonly PublishedId[];
}

/** Messages that are kept when the policy bounds only their age. */
const MAX_MESSAGES = 100_000;
/** Bytes of a batch that is read for replay. */
const READ_BYTES = 128 * 1024;
/** Reads that are remembered: subscribers who come back together ask for the same. */
const MAX_REMEMBERED_READS = 8;
/** Ids in a position: with 64 characters each they fit an attachment of 16 KiB (platform limits). */
const POSITION_IDS = 128;
/** Rows of messages that are over the bound are deleted when there are so many of these. */
const TRIM_MESSAGES = 1024;
/** How long a shared topic's log is kept without a publisher, where no age is set. */
const VACANT_SECONDS = 86_400;
/** Least time between two deletions by age. */
const MIN_EXPIRY_STEP_MS = 30_000;

const META_KEY = "log";

/** Validates a position that comes from an attachment or from storage. */
export const LogPositionSchema: v.GenericSchema<unknown, LogPosition> = v.object({
  epoch: v.string(),
  offset: v.number(),
  atMs: v.number(),
  ids: v.array(v.tuple([v.string(), v.number()])),
});

/** What storage knows beside the rows. */
interface Meta {
  readonly v: 1;
  /** A lower bound of where a durable log ends; where another one ended when it was stored. */
  readonly position: LogPosition;
  /** `null`: not durable. */
  readonly history: History | null;
  /** When a topic without publisher loses its log; milliseconds since the epoch. */
  readonly keepUntilMs: number | null;
  /** By the key store's clock; 0 where version 0.1 stored it. */
  readonly policyAtMs: number;
}

const MetaSchema: v.GenericSchema<unknown, Meta> = v.object({
  v: v.literal(1),
  position: LogPositionSchema,
  history: v.nullable(v.object({ messages: v.number(), seconds: v.number() })),
  keepUntilMs: v.nullable(v.number()),
  policyAtMs: v.optional(v.number(), 0),
});

/** The log of one topic. */
export class Log implements LogView {
  readonly #storage: DurableObjectStorage;
  #epoch: string = newEpoch();
  #head = 0;
  #headAtMs = 0;
  #history: History | null = null;
  #rows: LogRows | null = null;
  #recent: RecentBatches = new RecentBatches();
  #window: PublishWindow = new PublishWindow();
  #keepUntilMs: number | null = null;
  #held = Infinity;
  #policyAtMs = 0;
  readonly #reads: Map<number, Batch> = new Map();

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage;
  }

  /** Goes on from what is stored: always if it is durable, else only if `isPositionTrue`. */
  load(isPositionTrue: boolean): void {
    const meta = v.safeParse(MetaSchema, this.#storage.kv.get(META_KEY));
    if (!meta.success) return;
    const { position, history, keepUntilMs, policyAtMs } = meta.output;
    if (history === null) {
      if (isPositionTrue) this.restore(position);
      return;
    }
    this.restore(position);
    this.#keepUntilMs = keepUntilMs;
    this.#policyAtMs = policyAtMs;
    this.#history = history;
    this.#rows = new LogRows(this.#storage.sql);
    const newest = this.#rows.newest();
    if (newest !== null && newest.last > this.#head) {
      this.#head = newest.last;
      this.#headAtMs = newest.atMs;
    }
    for (const [id, offset] of this.#rows.ids()) this.#window.add(id, offset);
  }

  /** Goes on from a position that outlived memory. */
  restore({ epoch, offset, atMs, ids }: LogPosition): void {
    this.#epoch = epoch;
    this.#head = offset;
    this.#headAtMs = atMs;
    this.#window = new PublishWindow(ids);
  }

  /** Whether what it takes survives a restart. */
  get isDurable(): boolean {
    return this.#rows !== null;
  }

  /** The place of the last message. */
  get head(): Cursor {
    return { epoch: this.#epoch, offset: this.#head };
  }

  get position(): LogPosition {
    const ids = this.#window.newest(POSITION_IDS);
    return { epoch: this.#epoch, offset: this.#head, atMs: this.#headAtMs, ids };
  }

  /** When the policy held by which it keeps what it keeps, by the key store's clock; 0 when that is not known. */
  get policyAtMs(): number {
    return this.isDurable ? this.#policyAtMs : 0;
  }

  /** Whether a policy keeps anything else than what is kept now. */
  wouldChange({ historyMessages: messages, historySeconds: seconds }: Policy): boolean {
    return messages !== (this.#history?.messages ?? 0) || seconds !== (this.#history?.seconds ?? 0);
  }

  /** Whether what is kept now would not be, or not for as long, by a policy. */
  wouldKeepLess({ historyMessages: messages, historySeconds: seconds }: Policy): boolean {
    if (this.#history === null) return false;
    if (messages === 0 && seconds === 0) return true;
    return isLess(messages, this.#history.messages) || isLess(seconds, this.#history.seconds);
  }

  /** Keeps what a policy says from now on; `atMs`: when it held, by the key store's clock. */
  configure({ historyMessages: messages, historySeconds: seconds }: Policy, atMs: number): void {
    this.#policyAtMs = atMs;
    if (messages === 0 && seconds === 0) {
      if (this.#rows !== null) this.#dropRows();
      return;
    }
    const before = this.#history;
    if (before?.messages === messages && before.seconds === seconds) return;
    this.#history = { messages, seconds };
    this.#rows ??= new LogRows(this.#storage.sql);
    this.store();
  }

  /** Writes what storage must know beside the rows. */
  store(): void {
    // All ids: the rows that hold them may go before they do. A value holds 2 MB (platform limits).
    const ids = this.#window.newest(this.isDurable ? Infinity : POSITION_IDS);
    const meta: Meta = {
      v: 1,
      position: { ...this.position, ids },
      history: this.#history,
      keepUntilMs: this.#keepUntilMs,
      policyAtMs: this.#policyAtMs,
    };
    this.#storage.kv.put(META_KEY, meta);
  }

  /** Makes sure that storage says nothing of where the log is. */
  forgetStored(): void {
    this.#storage.kv.delete(META_KEY);
  }

  /** The topic has ended: only what is kept for a time outlives it. */
  end(): void {
    if (this.#history !== null && this.#history.seconds > 0) return;
    if (this.#rows !== null) this.#dropRows();
    this.reset();
  }

  /** The last publisher has left: says until when the log is kept, `null` when not at all. */
  retire(nowMs: number): number | null {
    if (this.#history === null) return null;
    this.#keepUntilMs = nowMs + (this.#history.seconds || VACANT_SECONDS) * 1000;
    this.store();
    return this.#keepUntilMs;
  }

  /** Forgets everything, in memory; nothing that was said of the old epoch holds for the new one. */
  reset(): void {
    this.#epoch = newEpoch();
    this.#head = 0;
    this.#headAtMs = 0;
    this.#history = null;
    this.#rows = null;
    this.#recent = new RecentBatches();
    this.#window = new PublishWindow();
    this.#keepUntilMs = null;
    this.#reads.clear();
  }

  /** Until when a log without publisher is kept, `null` when it was not said; milliseconds since the epoch. */
  get keepUntilMs(): number | null {
    return this.#keepUntilMs;
  }

  /** Whether a log without publisher has outlived its time; one of which nothing is stored goes with the memory. */
  isOver(nowMs: number): boolean {
    return this.#keepUntilMs !== null && nowMs >= this.#keepUntilMs;
  }

  /** The place of a publish that was taken before, `null` when its id is not among the last. */
  find(id: string): Cursor | null {
    const offset = this.#window.find(id);
    return offset === undefined ? null : { epoch: this.#epoch, offset };
  }

  /**
   * Takes publications, in order, as one batch; `null` when none has messages. A durable log throws when
   * storage fails: then nothing was taken.
   */
  append(publications: readonly Publication[], nowMs: number): Batch | null {
    const messages = publications.flatMap((publication) => publication.messages);
    if (messages.length === 0) return null;
    const place = {
      epoch: this.#epoch,
      first: this.#head + 1,
      last: this.#head + messages.length,
      atMs: nowMs,
    };
    const batch = Batch.ofMessages(place, messages);
    const ids: PublishedId[] = [];
    let offset = this.#head;
    for (const { messages: own, receipt } of publications) {
      offset += own.length;
      if (receipt !== null && own.length > 0) ids.push([receipt.id, offset]);
    }
    this.#rows?.append(batch, ids, (row) => this.#mayGo(row, nowMs));
    this.#head = place.last;
    this.#headAtMs = nowMs;
    for (const [id, end] of ids) this.#window.add(id, end);
    this.#recent.push(batch);
    this.#trim();
    return batch;
  }

  /** Keeps the rows behind an offset, which are being replayed, until it is told another one. */
  hold(offset: number): void {
    this.#held = offset;
  }

  /** The offset of the last message that cannot be read, 0 when all can. */
  get gone(): number {
    const first = this.#rows === null ? this.#recent.oldest?.place.first : this.#rows.first;
    return (first ?? this.#head + 1) - 1;
  }

  /** The offset of the last message that nobody may ask for any more, 0 when there is none. */
  lost(nowMs: number): number {
    const expired = this.#rows?.lastBefore(this.#expiryMs(nowMs)) ?? 0;
    return Math.max(this.gone, this.#rows === null ? 0 : this.#overBound(), expired);
  }

  /** Where a subscriber goes on that asked for a part of the past. */
  resume(since: Since, nowMs: number): Resumption {
    const lost = this.lost(nowMs);
    switch (since.type) {
      case "earliest":
        return this.#resumeAt(lost, lost);
      case "last":
        return this.#resumeAt(Math.max(0, this.#head - since.count), lost);
      case "duration": {
        const startMs = nowMs - since.ms;
        if (this.#headAtMs < startMs) return this.#resumeAt(this.#head, lost);
        const before = this.#rows?.lastBefore(startMs) ?? this.#recent.lastBefore(startMs);
        // When what is gone was published is not known, but for what went by its age.
        const isOld = lost === this.#rows?.lastBefore(this.#expiryMs(nowMs));
        return this.#resumeAt(Math.max(before ?? 0, isOld ? lost : 0), lost);
      }
      case "cursor": {
        const { cursor } = since;
        if (cursor.epoch === this.#epoch && cursor.offset <= this.#head) {
          return this.#resumeAt(cursor.offset, lost);
        }
        return { cursor: { epoch: this.#epoch, offset: lost }, gapFrom: cursor };
      }
    }
  }

  /**
   * What follows an offset that is not lost, up to a size; `null` when nothing does. A number: what follows cannot be
   * read, up to that offset.
   */
  read(offset: number): Batch | number | null {
    if (offset >= this.#head) return null;
    const remembered = this.#reads.get(offset);
    if (remembered !== undefined) return remembered;
    const batches = this.#recent.after(offset) ?? this.#readRows(offset);
    if (typeof batches === "number") return Math.min(batches, this.#head);
    const [first, ...rest] = batches;
    if (first === undefined) return this.#head;
    const taken: [Batch, ...Batch[]] = [first];
    let bytes = bytesOf(first.messages);
    for (const batch of rest) {
      if (bytes >= READ_BYTES) break;
      taken.push(batch);
      bytes += bytesOf(batch.messages);
    }
    const batch = Batch.join(taken);
    this.#reads.set(offset, batch);
    if (this.#reads.size > MAX_REMEMBERED_READS) {
      const [oldest] = this.#reads.keys();
      if (oldest !== undefined) this.#reads.delete(oldest);
    }
    return batch;
  }

  /** Deletes what is too old. */
  expire(nowMs: number): void {
    const oldest = this.#rows?.oldest ?? null;
    if (oldest === null || oldest.atMs >= this.#expiryMs(nowMs)) return;
    // Where the log ends, and the last ids, must not go with the rows.
    this.store();
    const last = this.#rows?.lastBefore(this.#expiryMs(nowMs)) ?? 0;
    this.#rows?.deleteUpTo(Math.min(last, this.#held));
  }

  /**
   * When there will be something to delete; some time later than needed, so that it is worth a wake. `null`: nothing
   * will, or it is being replayed.
   */
  get nextExpiryMs(): number | null {
    const oldest = this.#rows?.oldest ?? null;
    const ageMs = (this.#history?.seconds ?? 0) * 1000;
    if (oldest === null || ageMs === 0 || oldest.last > this.#held) return null;
    return oldest.atMs + ageMs + Math.max(ageMs / 2, MIN_EXPIRY_STEP_MS);
  }

  #readRows(offset: number): Batch[] | number {
    try {
      return this.#rows?.after(offset, READ_BYTES, this.#epoch) ?? [];
    } catch {
      // SQLITE_IOERR and the like: which rows are sound cannot be told.
      return this.#head;
    }
  }

  #resumeAt(offset: number, lost: number): Resumption {
    const epoch = this.#epoch;
    if (offset >= lost) return { cursor: { epoch, offset }, gapFrom: null };
    return { cursor: { epoch, offset: lost }, gapFrom: { epoch, offset } };
  }

  /** Messages older than this are gone. */
  #expiryMs(nowMs: number): number {
    const seconds = this.#history?.seconds ?? 0;
    return seconds === 0 ? -Infinity : nowMs - seconds * 1000;
  }

  /** The offset of the last message that there are too many newer ones of. */
  #overBound(): number {
    return this.#head - (this.#history?.messages || MAX_MESSAGES);
  }

  /** The offset of the last message that is not needed for itself, or for the id of its publish. */
  #needless(): number {
    return Math.min(this.#overBound(), this.#window.oldestOffset - 1, this.#held);
  }

  #mayGo({ last, atMs }: RowPlace, nowMs: number): boolean {
    const isOver = last <= this.#overBound() || atMs < this.#expiryMs(nowMs);
    return isOver && last < this.#window.oldestOffset && last <= this.#held;
  }

  /** Deletes rows when batches have become larger, so that too few are overwritten. */
  #trim(): void {
    const first = this.#rows?.first ?? null;
    const end = this.#needless();
    if (first !== null && end - first >= TRIM_MESSAGES) this.#rows?.deleteUpTo(end);
  }

  #dropRows(): void {
    this.#rows?.drop();
    this.#rows = null;
    this.#history = null;
    this.#keepUntilMs = null;
    this.#storage.kv.delete(META_KEY);
  }
}

/** Whether one bound keeps less than another; 0 is no bound. */
function isLess(bound: number, than: number): boolean {
  return bound !== 0 && (than === 0 || bound < than);
}

function newEpoch(): string {
  return epochOf(crypto.getRandomValues(new Uint8Array(12)));
}
