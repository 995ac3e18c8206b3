/**
 * The register of a domain, in the object's storage: which of its topics are live, and which objects hold grants
 * of which key. Objects enter themselves. A topic is struck when it says that it is over, a key's holder lazily:
 * when it is told of the key and has no use for it, or by the daily sweep. May list too much, never too little.
 */
import * as v from "valibot";
import type { Entry } from "../core/change.ts";

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

/** Whom to tell: who holds a key, or all live topics. */
export type Audience = { readonly keyId: number } | "live topics";

const TOPIC = "topic:";
const HOLDING = "holding:";
/** Version 0.1 does not say which keys a topic has: it is told of all. Sorts before every key's number. */
const ANY_KEY = "*";
const HOLDER = "topic/";

const TopicSchema = v.object({
  sinceMs: v.number(),
  seenMs: v.number(),
  life: v.optional(v.nullable(v.string()), null),
  keyIds: v.optional(v.array(v.number()), []),
});

const HoldingSchema = v.object({ seenMs: v.number(), entry: v.string() });

/** The register of one domain. */
export class Register {
  readonly #kv: SyncKvStorage;

  constructor(kv: SyncKvStorage) {
    this.#kv = kv;
  }

  /** Enters an object with its life and its keys. */
  enter({ holder, life, keyIds }: Entry, nowMs: number): void {
    if (life !== null) {
      const topic = holder.slice(HOLDER.length);
      const known = this.#topic(topic);
      const sinceMs = known?.life === life ? known.sinceMs : nowMs;
      // Kept here as well, so that its end strikes them, too, without a walk.
      const listed = [...new Set([...(known?.keyIds ?? []), ...keyIds])].slice(-MAX_LISTED_KEYS);
      this.#kv.put(TOPIC + topic, { sinceMs, seenMs: nowMs, life, keyIds: listed });
      // It says which keys it has from now on.
      this.#kv.delete(holdingRow(ANY_KEY, holder));
    }
    for (const keyId of keyIds) this.#hold(keyId, holder, nowMs);
  }

  /** Enters a topic of version 0.1; one that has just started counts from now, one that is there from before. */
  enterBefore(topic: string, isStart: boolean, nowMs: number): void {
    const known = isStart ? null : this.#topic(topic);
    this.#kv.put(TOPIC + topic, { sinceMs: known?.sinceMs ?? nowMs, seenMs: nowMs, life: null });
    this.#hold(ANY_KEY, HOLDER + topic, nowMs);
  }

  /** Strikes the life of a topic that is over, and its keys; a life that began meanwhile stays. */
  leave(holder: string, life: string, keyIdsInUse: readonly number[]): void {
    const known = this.#topic(holder.slice(HOLDER.length));
    // Version 0.1 names no lives.
    if (known === null || (known.life ?? life) !== life) return;
    this.#strikeTopic(
      holder,
      known.keyIds.filter((keyId) => !keyIdsInUse.includes(keyId)),
    );
  }

  /** Strikes a topic of version 0.1 that was over at a time, unless it was seen again. */
  leaveBefore(topic: string, untilMs: number): void {
    const known = this.#topic(topic);
    if (known !== null && known.seenMs <= untilMs) this.#strikeTopic(HOLDER + topic, []);
  }

  /** Strikes what version 0.1 has entered of a topic that is not live, unless another version entered it since. */
  strikeBefore(holder: string): void {
    if (this.#topic(holder.slice(HOLDER.length))?.life === null) this.#strikeTopic(holder, []);
    else this.#kv.delete(holdingRow(ANY_KEY, holder));
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

  /** The next so many rows of an audience after a row, `""` for the first ones. */
  page(audience: Audience, after: string, limit: number): Registered[] {
    const prefixes =
      audience === "live topics"
        ? [TOPIC]
        : [`${HOLDING}${ANY_KEY}/`, `${HOLDING}${audience.keyId}/`];
    return this.#page(prefixes, after, limit);
  }

  /** An object's row of an audience, `null` when it is not in it. */
  find(audience: Audience, holder: string): Registered | null {
    if (audience === "live topics") return this.#read(TOPIC + holder.slice(HOLDER.length));
    return (
      this.#read(holdingRow(audience.keyId, holder)) ?? this.#read(holdingRow(ANY_KEY, holder))
    );
  }

  /** The next so many rows of the whole register after a row. */
  all(after: string, limit: number): Registered[] {
    return this.#page([HOLDING, TOPIC], after, limit);
  }

  /** Strikes a row, unless the object has entered again since the row was read. */
  strike({ row, mark }: Registered): void {
    if (this.#read(row)?.mark === mark) this.#kv.delete(row);
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
      for (const { holder, seenMs } of page) this.#hold(ANY_KEY, holder, seenMs);
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

  #hold(keyId: number | typeof ANY_KEY, holder: string, seenMs: number): void {
    this.#kv.put(holdingRow(keyId, holder), { seenMs, entry: crypto.randomUUID() });
  }

  #strikeTopic(holder: string, keyIds: readonly number[]): void {
    this.#kv.delete(TOPIC + holder.slice(HOLDER.length));
    this.#kv.delete(holdingRow(ANY_KEY, holder));
    for (const keyId of keyIds) this.#kv.delete(holdingRow(keyId, holder));
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

/** Keys that a topic's row lists: those of more are left to the sweep. */
const MAX_LISTED_KEYS = 1000;
/** Rows that are read at a time where all are. */
const PAGE = 1000;

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
