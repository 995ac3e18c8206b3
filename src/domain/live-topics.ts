/**
 * The register of a domain's live topics, in the object's storage: what is live is told by the topics
 * themselves. May list a topic that has ended (a crash kept it from saying so), never the other way round
 * for longer than a retry takes.
 */
import * as v from "valibot";

/** A topic in the register. */
export interface LiveTopic {
  readonly topic: string;
  /** When it was started; milliseconds since the epoch. */
  readonly sinceMs: number;
}

const PREFIX = "topic:";

const EntrySchema = v.object({ sinceMs: v.number(), seenMs: v.number() });

/** The register. */
export class LiveTopics {
  readonly #kv: SyncKvStorage;

  constructor(kv: SyncKvStorage) {
    this.#kv = kv;
  }

  /** Enters a topic; one that has just started counts from now, one that is there from before. */
  add(topic: string, isStart: boolean, nowMs: number): void {
    const known = isStart ? null : this.#read(topic);
    this.#kv.put(PREFIX + topic, { sinceMs: known?.sinceMs ?? nowMs, seenMs: nowMs });
  }

  /** Strikes a topic, unless it was seen again after it said so. */
  remove(topic: string, untilMs: number): void {
    const known = this.#read(topic);
    if (known !== null && known.seenMs <= untilMs) this.#kv.delete(PREFIX + topic);
  }

  /** Since when a topic is live, `null` when it is not. */
  find(topic: string): number | null {
    return this.#read(topic)?.sinceMs ?? null;
  }

  /** The next so many after a name, in the order of their UTF-8 bytes. */
  list(after: string, limit: number): LiveTopic[] {
    const entries = this.#kv.list({ prefix: PREFIX, startAfter: PREFIX + after, limit });
    return Array.from(entries, ([key, value]) => ({
      topic: key.slice(PREFIX.length),
      sinceMs: v.parse(EntrySchema, value).sinceMs,
    }));
  }

  #read(topic: string): v.InferOutput<typeof EntrySchema> | null {
    const value = this.#kv.get(PREFIX + topic);
    return value === undefined ? null : v.parse(EntrySchema, value);
  }
}
