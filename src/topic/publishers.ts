/**
 * The publishers of one topic, and what those that have left had used of their rate: the next one by the same key goes
 * on from there, so that reconnecting makes no rate larger (PROTOCOL.md, 14.6). Each of them has one heir: sockets that
 * are there at the same time have a rate each.
 * Invariant: however a publisher goes, it goes by `delete`.
 */
import { MessageRate, type RateVerdict } from "./message-rate.ts";
import type { Owner } from "./owner.ts";
import type { Publisher } from "./publisher.ts";

/** Of so many that have left the rate is remembered; the one that left first is forgotten first. */
const MAX_LEFT = 1000;

interface Left {
  readonly owner: Owner;
  readonly rate: MessageRate;
}

/** Publishers by their sockets. */
export class Publishers extends Map<WebSocket, Publisher> {
  #left: Left[] = [];

  /** Drops a publisher that has left, and keeps what it had used of its rate. */
  override delete(socket: WebSocket): boolean {
    const publisher = this.get(socket);
    if (publisher !== undefined && publisher.rate.fullAtMs > 0) {
      this.#leave(publisher.owner, publisher.rate);
    }
    return super.delete(socket);
  }

  /** Lets a newcomer go on where one of its key left off, the one that has to wait for longest. */
  begin(newcomer: Publisher, nowMs: number): void {
    const left = this.#take(newcomer.owner, nowMs);
    if (left !== null) newcomer.inheritRate(left, nowMs);
  }

  /** Asks for so many messages of somebody who comes, publishes and leaves. */
  spend(owner: Owner, count: number, perSecond: number, nowMs: number): RateVerdict {
    const rate = this.#take(owner, nowMs) ?? new MessageRate();
    const verdict = rate.take(count, perSecond, nowMs);
    this.#leave(owner, rate);
    return verdict;
  }

  #leave(owner: Owner, rate: MessageRate): void {
    this.#left.push({ owner, rate });
    if (this.#left.length > MAX_LEFT) this.#left.shift();
  }

  #take(owner: Owner, nowMs: number): MessageRate | null {
    this.#left = this.#left.filter(({ rate }) => rate.fullAtMs > nowMs);
    let heaviest: Left | null = null;
    for (const left of this.#left) {
      if (left.owner !== owner) continue;
      if (heaviest === null || left.rate.fullAtMs > heaviest.rate.fullAtMs) heaviest = left;
    }
    this.#left = this.#left.filter((left) => left !== heaviest);
    return heaviest?.rate ?? null;
  }

  /** Milliseconds until nothing is to be remembered of those that have left. */
  msUntilForgotten(nowMs: number): number {
    return this.#left.reduce((ms, { rate }) => Math.max(ms, Math.ceil(rate.fullAtMs - nowMs)), 0);
  }
}
