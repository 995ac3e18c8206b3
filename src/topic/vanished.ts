/**
 * Which subscribers have vanished: no packet told the hub that they are gone, but they once sent heartbeats and
 * are silent (PROTOCOL.md, 7.7). They are looked for only when somebody needs a place. As a stranger can make that
 * happen again and again, all of them are walked once in a while only.
 */
import { isSilent } from "../core/heartbeat.ts";
import type { SubscriberMember } from "./subscriber-member.ts";

/** Between two walks, however many need a place. */
const REST_MS = 10_000;

/** The search of one topic. */
export class Vanished {
  /** When the runtime last answered a socket's heartbeat. */
  readonly #lastHeartbeatMs: (socket: WebSocket) => number | null;
  /** Found and not let go, the longest silent first. */
  readonly #found: Set<SubscriberMember> = new Set();
  #restUntilMs = 0;
  /** Whether there were too few at the last time. */
  #isExhausted = false;

  constructor(lastHeartbeatMs: (socket: WebSocket) => number | null) {
    this.#lastHeartbeatMs = lastHeartbeatMs;
  }

  /** A subscriber is gone. */
  forget(subscriber: SubscriberMember): void {
    this.#found.delete(subscriber);
  }

  /** Finds so many who have vanished, or fewer. */
  find(
    count: number,
    subscribers: Iterable<SubscriberMember>,
    nowMs: number,
  ): readonly SubscriberMember[] {
    const isResting = nowMs < this.#restUntilMs;
    if (isResting && this.#isExhausted) return [];
    let found = this.#choose(count, nowMs);
    if (found.length < count && !isResting) {
      this.#walk(subscribers, nowMs);
      found = this.#choose(count, nowMs);
    }
    this.#isExhausted = found.length < count;
    return found;
  }

  #choose(count: number, nowMs: number): SubscriberMember[] {
    const chosen: SubscriberMember[] = [];
    for (const subscriber of this.#found) {
      if (chosen.length === count) break;
      if (this.#hasVanished(subscriber, nowMs)) chosen.push(subscriber);
      else this.#found.delete(subscriber);
    }
    return chosen;
  }

  #walk(subscribers: Iterable<SubscriberMember>, nowMs: number): void {
    this.#restUntilMs = nowMs + REST_MS;
    this.#found.clear();
    const silent = [...subscribers].flatMap((subscriber) => {
      const atMs = this.#lastHeartbeatMs(subscriber.socket);
      return atMs !== null && this.#hasVanished(subscriber, nowMs) ? [{ subscriber, atMs }] : [];
    });
    for (const { subscriber } of silent.toSorted((one, other) => one.atMs - other.atMs)) {
      this.#found.add(subscriber);
    }
  }

  /** Any frame, too, shows that it is there, as far as memory reaches. */
  #hasVanished({ socket, lastMessageMs }: SubscriberMember, nowMs: number): boolean {
    return isSilent(
      {
        heartbeatSeconds: null,
        connectedAtMs: 0,
        lastHeartbeatMs: this.#lastHeartbeatMs(socket),
        lastMessageMs,
      },
      nowMs,
    );
  }
}
