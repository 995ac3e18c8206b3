/**
 * The life of a topic that was finished last: what finished it, and what was published before that, so that a publisher
 * that was cut off before it heard of it can say all of it again, and begins nothing by it (PROTOCOL.md, 10.14). Knows
 * one key of storage.
 * Invariant: it is forgotten in time, so that a topic that nobody uses stores nothing.
 */
import * as v from "valibot";
import type { Cursor } from "../core/cursor.ts";
import { LogPositionSchema, type LogPosition } from "./log-meta.ts";
import type { Owner } from "./owner.ts";
import type { Logged } from "./log.ts";
import type { PublishName } from "./publication.ts";
import { MAX_IDS_EACH, RecentIds } from "./recent-ids.ts";

/** How long it is remembered: a job that failed may be run again hours later, and a row costs the same for any time. */
const REMEMBERED_MS = 86_400_000;
/** Publishes that are remembered of it, and what finished it: all together as many as one socket may leave unanswered. */
export const FINISHED_IDS: number = MAX_IDS_EACH;

const KEY = "finished";

/** What is stored. */
interface Finished {
  readonly v: 1;
  /** Where the log was at the end; what finished it is the last of its ids. */
  readonly position: LogPosition;
  /** Milliseconds since the epoch. */
  readonly untilMs: number;
}

const FinishedSchema: v.GenericSchema<unknown, Finished> = v.object({
  v: v.literal(1),
  position: LogPositionSchema,
  untilMs: v.number(),
});

/** The finished life of one topic. */
export class FinishedLife {
  readonly #kv: SyncKvStorage;
  #known: Finished | null = null;
  #ids: RecentIds = new RecentIds();
  #isStored = false;

  constructor(kv: SyncKvStorage) {
    this.#kv = kv;
  }

  /** Reads what outlived memory. */
  load(nowMs: number): void {
    const stored = v.safeParse(FinishedSchema, this.#kv.get(KEY));
    if (!stored.success) return;
    // A clock that is set back makes nothing be remembered for longer.
    const untilMs = Math.min(stored.output.untilMs, nowMs + REMEMBERED_MS);
    this.#know({ ...stored.output, untilMs });
    this.#isStored = untilMs === stored.output.untilMs;
    // Or the next wake would begin another day.
    this.store({ isEmptied: false });
  }

  /** A life is finished, at a place in its log; instead of one that was before. */
  remember({ id, owner, fingerprint }: PublishName, position: LogPosition, nowMs: number): void {
    // The log may have taken it already, with its messages or beside others.
    const others = position.ids.filter((one) => one[0] !== id || (one[3] ?? 0) !== owner);
    const before = others.slice(-(FINISHED_IDS - 1));
    const ids = [...before, [id, position.offset, fingerprint, owner] as const];
    this.#know({ v: 1, position: { ...position, ids }, untilMs: nowMs + REMEMBERED_MS });
    this.#isStored = false;
  }

  /** Makes it outlive memory; `isEmptied`: what was stored is gone. */
  store({ isEmptied }: { readonly isEmptied: boolean }): void {
    if (isEmptied) this.#isStored = false;
    if (this.#known === null || this.#isStored) return;
    this.#isStored = true;
    this.#kv.put(KEY, this.#known);
  }

  /** Until when it is remembered, `null`: there is none. */
  get untilMs(): number | null {
    return this.#known?.untilMs ?? null;
  }

  /** Forgets it, if its time is over; whether it was. */
  expire(nowMs: number): boolean {
    if (this.#known === null || nowMs < this.#known.untilMs) return false;
    this.forget();
    return true;
  }

  /** Forgets it, be it stored or not. */
  forget(): void {
    this.#known = null;
    this.#ids = new RecentIds();
    this.#isStored = false;
    this.#kv.delete(KEY);
  }

  /** An owner's publish of that life, or what finished it; `null` when it is not known. */
  find(owner: Owner, id: string): Logged | null {
    const found = this.#ids.find(owner, id);
    if (this.#known === null || found === undefined) return null;
    const [, offset, fingerprint] = found;
    return { fingerprint, cursor: { epoch: this.#known.position.epoch, offset } };
  }

  /** Whether nothing was published since, as far as is known by where the log is. */
  isNewest({ epoch, offset }: Cursor): boolean {
    const last = this.#known?.position;
    // A log that is not kept begins anew with each life.
    return offset === 0 || (epoch === last?.epoch && offset === last.offset);
  }

  #know(known: Finished): void {
    this.#known = known;
    this.#ids = new RecentIds(known.position.ids);
  }
}
