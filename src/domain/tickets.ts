/**
 * Tickets: each opens one topic to one subscriber, once, for half a minute (PROTOCOL.md, 13.5). Stored as
 * hashes in the object's storage; being one object's, a ticket cannot be used twice at once. One that is taken
 * is not there until it is given back.
 */
import * as v from "valibot";
import { GrantSchema, type Grant } from "../core/grant.ts";
import { TICKET_SECONDS } from "../core/ticket.ts";

const PREFIX = "ticket:";

const EntrySchema = v.object({ topic: v.string(), grant: GrantSchema, untilMs: v.number() });

/** A ticket that somebody is trying: nobody else has it meanwhile. */
export interface TakenTicket {
  readonly grant: Grant;
  /** When it becomes too old, by the domain's clock. */
  readonly untilMs: number;
}

/** A domain's tickets. */
export class Tickets {
  readonly #kv: SyncKvStorage;

  constructor(kv: SyncKvStorage) {
    this.#kv = kv;
  }

  /** Keeps a ticket; returns until when. */
  add(hash: string, topic: string, grant: Grant, nowMs: number): number {
    const untilMs = nowMs + TICKET_SECONDS * 1000;
    this.giveBack(hash, topic, { grant, untilMs });
    return untilMs;
  }

  /** Keeps a ticket again that was taken and did not open its topic for another reason. */
  giveBack(hash: string, topic: string, { grant, untilMs }: TakenTicket): void {
    this.#kv.put(PREFIX + hash, { topic, grant, untilMs });
  }

  /** Uses a ticket up; `null` when there is none that is good for this topic now. */
  take(hash: string, topic: string, nowMs: number): TakenTicket | null {
    const value = this.#kv.get(PREFIX + hash);
    if (value === undefined) return null;
    this.#kv.delete(PREFIX + hash);
    // Not left behind with a mark: the version before would take it for one that nobody has tried.
    const { topic: meant, ...ticket } = v.parse(EntrySchema, value);
    return meant === topic && nowMs < ticket.untilMs ? ticket : null;
  }

  /** Drops what is too old; returns when there is more to drop, `null` for never. */
  expire(nowMs: number): number | null {
    let nextMs = Infinity;
    for (const [key, value] of Array.from(this.#kv.list({ prefix: PREFIX }))) {
      const { untilMs } = v.parse(EntrySchema, value);
      if (untilMs <= nowMs) this.#kv.delete(key);
      else nextMs = Math.min(nextMs, untilMs);
    }
    return nextMs === Infinity ? null : nextMs;
  }
}
