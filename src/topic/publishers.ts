/**
 * The publishers of one topic, and what those that have left had used of their rate: who comes next by the
 * same key goes on from there, so that reconnecting makes no rate larger (PROTOCOL.md, 14.6). Each
 * of them has one heir: sockets that are there at the same time have a rate each.
 * Invariant: however a publisher goes, it goes by `delete`.
 */
import type { MessageRate } from "./message-rate.ts";
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
      this.#left.push({ owner: publisher.owner, rate: publisher.rate });
      if (this.#left.length > MAX_LEFT) this.#left.shift();
    }
    return super.delete(socket);
  }

  /** Lets a newcomer go on where one of its key left off, the one that has to wait for longest. */
  begin(newcomer: Publisher, nowMs: number): void {
    this.#left = this.#left.filter(({ rate }) => rate.fullAtMs > nowMs);
    const { owner } = newcomer;
    let heaviest: Left | null = null;
    for (const left of this.#left) {
      if (left.owner !== owner) continue;
      if (heaviest === null || left.rate.fullAtMs > heaviest.rate.fullAtMs) heaviest = left;
    }
    if (heaviest === null) return;
    this.#left = this.#left.filter((left) => left !== heaviest);
    newcomer.inheritRate(heaviest.rate, nowMs);
  }

  /** Milliseconds until nothing is to be remembered of those that have left. */
  msUntilForgotten(nowMs: number): number {
    return this.#left.reduce((ms, { rate }) => Math.max(ms, Math.ceil(rate.fullAtMs - nowMs)), 0);
  }
}
