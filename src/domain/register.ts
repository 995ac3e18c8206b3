/**
 * The register of a domain, in the object's storage: which of its topics are live, and which objects hold grants
 * of which key. Objects enter themselves. A topic is struck when it says that it is over, a key's holder lazily:
 * when it is told of the key and has no use for it, or by the daily sweep. May list too much, never too little. Its
 * rows are counted as they come and go.
 */
import * as v from "valibot";
import type { Entry } from "../core/change.ts";
import { RegisterCount, type Counted } from "./register-count.ts";

/** A topic in the register. */
export interface LiveTopic {
  readonly topic: string;
  /** When it was started; milliseconds since the epoch. */
  readonly sinceMs: number;
}

/** A row of the register: an object that must be told of something. */
export interface Registered {
  /** Where the row is; rises from row to row, so that a walk can go on from it. */
  readonly row: string;
  /** `topic/` and the topic's name. */
  readonly holder: string;
  /** Changes when the object enters again: what was decided about the row before holds no more. */
  readonly mark: string;
  /** When the object was heard of last, by this object's clock. */
  readonly seenMs: number;
}

/** Whom a change concerns: the holders of a key, or all live topics. */
export type Concerned = { readonly keyId: number } | "live topics";

const TOPIC = "topic:";
const HOLDING = "holding:";
/** Version 0.1 does not say which keys a topic has: it is told of all. Sorts before every key's number. */
const ANY_KEY = "*";
const HOLDER = "topic/";
/** Keys that a topic's row lists: those of more are left to the sweep. */
const MAX_LISTED_KEYS = 1000;
/** Rows that are read at a time where all are. */
const PAGE = 1000;

const TopicSchema = v.object({
  sinceMs: v.number(),
  seenMs: v.number(),
  life: v.optional(v.nullable(v.string()), null),
  // The version before does not say it.
  keyIds: v.optional(v.array(v.number()), []),
});

const HoldingSchema = v.object({
  seenMs: v.number(),
  entry: v.string(),
  /** Of a topic that was not live; the version before does not say it. */
  waits: v.optional(v.boolean(), false),
});

/** The register of one domain. */
export class Register {
  readonly #kv: SyncKvStorage;
  readonly #count: RegisterCount;

  constructor(kv: SyncKvStorage) {
    this.#kv = kv;
    this.#count = new RegisterCount(kv, () => this.#walk());
  }

  /** Enters an object with its life and its keys; `false`: it is not in, and there are as many as there may be. */
  enter({ holder, life, keyIds }: Entry, maxTopics: number, nowMs: number): boolean {
    const topic = holder.slice(HOLDER.length);
    const known = this.#topic(topic);
    if (life !== null) {
      if (known === null && this.#count.value.topics >= maxTopics) return false;
      const sinceMs = known?.life === life ? known.sinceMs : nowMs;
      const keys = [...new Set([...(known?.keyIds ?? []), ...keyIds])].slice(-MAX_LISTED_KEYS);
      this.#putTopic(topic, { sinceMs, seenMs: nowMs, life, keyIds: keys });
      // It says which keys it has from now on.
      this.#delete(holdingRow(ANY_KEY, holder));
    } else if (known === null && this.#count.value.waiting >= maxTopics) {
      // A topic that waits there already, and enters again after a sleep, adds no row.
      const rows = keyIds.map((keyId) => holdingRow(keyId, holder));
      if (rows.some((row) => this.#read(row) === null)) return false;
    }
    for (const keyId of keyIds) this.#hold(keyId, holder, nowMs, life === null);
    return true;
  }

  /** Counts its rows anew. */
  recount(): void {
    this.#count.correct();
  }

  /** Enters a topic of version 0.1; one that has just started counts from now, one that is there from before. */
  enterBefore(topic: string, isStart: boolean, nowMs: number): void {
    const known = isStart ? null : this.#topic(topic);
    this.#putTopic(topic, { sinceMs: known?.sinceMs ?? nowMs, seenMs: nowMs, life: null });
    this.#hold(ANY_KEY, HOLDER + topic, nowMs, false);
  }

  /**
   * Strikes the life of a topic that is over, and its keys; a life that began meanwhile stays. Keys that are in use
   * are those by which somebody waits on: all others go, also those that a sleep made the topic forget.
   */
  leave(holder: string, life: string, keyIdsInUse: readonly number[]): void {
    const known = this.#topic(holder.slice(HOLDER.length));
    // Version 0.1 names no lives.
    if (known === null || (known.life ?? life) !== life) return;
    this.#strikeTopic(
      holder,
      known.keyIds.filter((keyId) => !keyIdsInUse.includes(keyId)),
    );
    for (const keyId of keyIdsInUse) this.#letWait(holdingRow(keyId, holder));
  }

  /** Strikes a topic of version 0.1 that was over at a time, unless it was seen again. */
  leaveBefore(topic: string, untilMs: number): void {
    const known = this.#topic(topic);
    if (known !== null && known.seenMs <= untilMs) this.#strikeTopic(HOLDER + topic, []);
  }

  /** Strikes what version 0.1 has entered of a topic that is not live, unless another version entered it since. */
  strikeBefore(holder: string): void {
    if (this.#topic(holder.slice(HOLDER.length))?.life === null) this.#strikeTopic(holder, []);
    else this.#delete(holdingRow(ANY_KEY, holder));
  }

  /** Since when a topic is live, `null` when it is not. */
  liveSince(topic: string): number | null {
    return this.#topic(topic)?.sinceMs ?? null;
  }

  /** The next so many live topics after a name, in the order of their UTF-8 bytes. */
  topics(after: string, limit: number): LiveTopic[] {
    const entries = this.#kv.list({ prefix: TOPIC, startAfter: TOPIC + after, limit });
    return Array.from(entries, ([key, value]) => ({
      topic: key.slice(TOPIC.length),
      sinceMs: v.parse(TopicSchema, value).sinceMs,
    }));
  }

  /** The next so many rows of whom a change concerns, after a row, `""` for the first ones. */
  page(concerned: Concerned, after: string, limit: number): Registered[] {
    const prefixes =
      concerned === "live topics"
        ? [TOPIC]
        : [`${HOLDING}${ANY_KEY}/`, `${HOLDING}${concerned.keyId}/`];
    return this.#page(prefixes, after, limit);
  }

  /** The row of an object, `null` where the change does not concern it. */
  find(concerned: Concerned, holder: string): Registered | null {
    if (concerned === "live topics") return this.#read(TOPIC + holder.slice(HOLDER.length));
    return (
      this.#read(holdingRow(concerned.keyId, holder)) ?? this.#read(holdingRow(ANY_KEY, holder))
    );
  }

  /** The next so many rows of the whole register after a row. */
  all(after: string, limit: number): Registered[] {
    return this.#page([HOLDING, TOPIC], after, limit);
  }

  /** Strikes a row, unless the object has entered again since the row was read. */
  strike({ row, mark }: Registered): void {
    if (this.#read(row)?.mark === mark) this.#delete(row);
  }

  /** The object of a row was heard of. */
  see({ row, mark }: Registered, nowMs: number): void {
    const value = this.#kv.get(row);
    if (this.#read(row)?.mark !== mark || typeof value !== "object") return;
    this.#kv.put(row, { ...value, seenMs: nowMs });
  }

  /** Takes over the topics that version 0.1 has entered, of whose keys nothing is known; whether there are any. */
  adoptBefore(): boolean {
    for (let after = ""; ;) {
      const page = this.#page([TOPIC], after, PAGE);
      for (const { holder, seenMs } of page) this.#hold(ANY_KEY, holder, seenMs, false);
      const last = page.at(-1);
      if (last === undefined) return after !== "";
      after = last.row;
    }
  }

  /** Rows of the first of the prefixes, which rise, that has any after a row. */
  #page(prefixes: readonly string[], after: string, limit: number): Registered[] {
    for (const prefix of prefixes) {
      if (after > prefix && !after.startsWith(prefix)) continue;
      const startAfter = after.startsWith(prefix) ? after : prefix;
      const rows = Array.from(this.#kv.list({ prefix, startAfter, limit }), ([row, value]) =>
        registered(row, value),
      );
      if (rows.length > 0) return rows;
    }
    return [];
  }

  #putTopic(topic: string, row: v.InferInput<typeof TopicSchema>): void {
    const isNew = this.#kv.get(TOPIC + topic) === undefined;
    this.#kv.put(TOPIC + topic, row);
    if (isNew) this.#count.add({ topics: 1 });
  }

  #hold(keyId: number | typeof ANY_KEY, holder: string, seenMs: number, waits: boolean): void {
    const row = holdingRow(keyId, holder);
    const didWait = this.#waits(row);
    // Without the member where it is false: so the version before writes it.
    const mark = { seenMs, entry: crypto.randomUUID() };
    this.#kv.put(row, waits ? { ...mark, waits } : mark);
    if (waits !== didWait) this.#count.add({ waiting: waits ? 1 : -1 });
  }

  /** A topic is over, and somebody by a key of it stays. */
  #letWait(row: string): void {
    const value = this.#kv.get(row);
    if (typeof value !== "object" || this.#waits(row)) return;
    this.#kv.put(row, { ...value, waits: true });
    this.#count.add({ waiting: 1 });
  }

  #strikeTopic(holder: string, keyIds: readonly number[]): void {
    this.#delete(TOPIC + holder.slice(HOLDER.length));
    this.#delete(holdingRow(ANY_KEY, holder));
    for (const keyId of keyIds) this.#delete(holdingRow(keyId, holder));
  }

  #delete(row: string): void {
    const didWait = this.#waits(row);
    if (!this.#kv.delete(row)) return;
    if (row.startsWith(TOPIC)) this.#count.add({ topics: -1 });
    else if (didWait) this.#count.add({ waiting: -1 });
  }

  #waits(row: string): boolean {
    const value = row.startsWith(HOLDING) ? this.#kv.get(row) : undefined;
    return value !== undefined && v.parse(HoldingSchema, value).waits;
  }

  #walk(): Counted {
    let [topics, waiting] = [0, 0];
    for (let after = ""; ;) {
      const page = this.all(after, PAGE);
      for (const { row } of page) {
        if (row.startsWith(TOPIC)) topics += 1;
        else if (this.#waits(row)) waiting += 1;
      }
      const last = page.at(-1);
      if (last === undefined) return { topics, waiting };
      after = last.row;
    }
  }

  #read(row: string): Registered | null {
    const value = this.#kv.get(row);
    return value === undefined ? null : registered(row, value);
  }

  #topic(topic: string): v.InferOutput<typeof TopicSchema> | null {
    const value = this.#kv.get(TOPIC + topic);
    return value === undefined ? null : v.parse(TopicSchema, value);
  }
}

/** The key of a holding's row, `null` for one of any key, `undefined` for a topic's row. */
export function keyOfRow(row: string): number | null | undefined {
  if (!row.startsWith(HOLDING)) return undefined;
  const key = row.slice(HOLDING.length, row.indexOf("/"));
  return key === ANY_KEY ? null : Number(key);
}

function holdingRow(keyId: number | typeof ANY_KEY, holder: string): string {
  return `${HOLDING}${keyId}/${holder}`;
}

function registered(row: string, value: unknown): Registered {
  if (row.startsWith(TOPIC)) {
    const { life, seenMs } = v.parse(TopicSchema, value);
    return { row, holder: HOLDER + row.slice(TOPIC.length), mark: `life ${life}`, seenMs };
  }
  const { entry, seenMs } = v.parse(HoldingSchema, value);
  return { row, holder: row.slice(row.indexOf("/") + 1), mark: `entry ${entry}`, seenMs };
}
