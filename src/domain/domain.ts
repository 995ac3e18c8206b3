/**
 * The Durable Object that knows which topics of a domain are live, which of its keys were revoked, and its
 * tickets. Control plane only: no message passes it, and while it is out of reach live topics go on.
 * Invariant: a topic that has registered hears of every revocation, in its answer or by a push.
 */
import { DurableObject } from "cloudflare:workers";
import { objectName } from "../core/address.ts";
import type { Grant, KeyStanding, Revocation } from "../core/grant.ts";
import { logError } from "../log.ts";
import { LiveTopics, type LiveTopic } from "./live-topics.ts";
import { Revocations } from "./revocations.ts";
import { Tickets } from "./tickets.ts";

/** Topics that are told of a key at the same time. */
const PUSHES_AT_ONCE = 1000;
/** When topics that could not be reached are told again. */
const RETRY_MS = 5000;

/** One domain. */
export class Domain extends DurableObject<Env> {
  readonly #liveTopics: LiveTopics;
  readonly #revocations: Revocations;
  readonly #tickets: Tickets;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#liveTopics = new LiveTopics(ctx.storage.kv);
    this.#revocations = new Revocations(ctx.storage.kv);
    this.#tickets = new Tickets(ctx.storage.kv);
  }

  /** Enters a live topic; from now on it is told of every key that is revoked, and here of those that were. */
  register(topic: string, isStart: boolean): Revocation[] {
    this.#liveTopics.add(topic, isStart, Date.now());
    return this.#revocations.list();
  }

  /** Strikes a topic that was over at a time. */
  unregister(topic: string, atMs: number): void {
    this.#liveTopics.remove(topic, atMs);
  }

  /** What caches may still contradict. */
  revocations(): Revocation[] {
    return this.#revocations.list();
  }

  /** Tells every live topic what became of a key; returns how many sockets were closed for it. */
  async applyKey(keyId: number, standing: KeyStanding): Promise<number> {
    if (standing.type === "dead") {
      this.#revocations.add({ keyId, atMs: Date.now() });
      await this.#wakeBy(Date.now() + RETRY_MS);
    } else {
      this.#revocations.remove(keyId);
    }
    return this.#push(keyId, standing);
  }

  /** The same for a key that the key store called dead at a time; nothing, if that is known. */
  async reportDead(keyId: number, checkedAtMs: number): Promise<void> {
    const isKnown = this.#revocations
      .list()
      .some((known) => known.keyId === keyId && known.atMs >= checkedAtMs);
    // Every topic on which the key is used finds out by itself, and says so.
    if (!isKnown) await this.applyKey(keyId, { type: "dead" });
  }

  /** A page of the live topics, in the order of their names. */
  topics(after: string, limit: number): LiveTopic[] {
    return this.#liveTopics.list(after, limit);
  }

  /** Since when a topic is live, `null` when it is not. */
  liveSince(topic: string): number | null {
    return this.#liveTopics.find(topic);
  }

  /** Keeps a ticket, by its hash. */
  async issueTicket(hash: string, topic: string, grant: Grant): Promise<void> {
    await this.#wakeBy(this.#tickets.add(hash, topic, grant, Date.now()));
  }

  /** Uses a ticket up; `null` when it opens nothing. */
  takeTicket(hash: string, topic: string): Grant | null {
    return this.#tickets.take(hash, topic, Date.now());
  }

  override async alarm(): Promise<void> {
    const nowMs = Date.now();
    for (const keyId of this.#revocations.untold()) await this.#push(keyId, { type: "dead" });
    const nextMs = [
      this.#revocations.untold().length > 0 ? nowMs + RETRY_MS : null,
      this.#revocations.expire(nowMs),
      this.#tickets.expire(nowMs),
    ].filter((atMs) => atMs !== null);
    if (nextMs.length > 0) await this.#wakeBy(Math.min(...nextMs));
  }

  async #push(keyId: number, standing: KeyStanding): Promise<number> {
    const domain = this.ctx.id.name;
    if (domain === undefined) throw new Error("Domain has no name");
    let closed = 0;
    let missed = 0;
    let after = "";
    for (;;) {
      const group = this.#liveTopics.list(after, PUSHES_AT_ONCE);
      const last = group.at(-1);
      if (last === undefined) break;
      const outcomes = await Promise.allSettled(
        group.map(async ({ topic }) => {
          const atMs = Date.now();
          const stub = this.env.TOPIC.getByName(objectName({ domain, topic }));
          const applied = await stub.applyKey(keyId, standing);
          if (!applied.isLive) this.#liveTopics.remove(topic, atMs);
          return applied.closed;
        }),
      );
      for (const outcome of outcomes) {
        if (outcome.status === "fulfilled") closed += outcome.value;
        else missed += 1;
      }
      after = last.topic;
    }
    if (missed > 0) logError({ event: "topics-unreachable", topics: missed });
    else if (standing.type === "dead") this.#revocations.markTold(keyId);
    return closed;
  }

  /** Makes sure that the alarm fires at a time or before. */
  async #wakeBy(atMs: number): Promise<void> {
    const alarmAtMs = await this.ctx.storage.getAlarm();
    if (alarmAtMs === null || alarmAtMs > atMs) await this.ctx.storage.setAlarm(atMs);
  }
}
