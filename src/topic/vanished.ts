/**
 * Which subscribers have vanished: no packet told the hub that they are gone, but they once sent heartbeats and
 * are silent (PROTOCOL.md, 7.7). They are looked for only when somebody needs a place. As a stranger can make that
 * happen again and again, all sockets are walked once in a while only.
 */
import { isSilent } from "../core/heartbeat.ts";

/** Between two walks, however many need a place. */
const REST_MS = 10_000;

/** The search of one topic. */
export class Vanished {
  /** When the runtime last answered a socket's heartbeat. */
  readonly #lastHeartbeatMs: (socket: WebSocket) => number | null;
  /** Found and not let go, the longest silent first. */
  readonly #found: Set<WebSocket> = new Set();
  readonly #heardAtMs: WeakMap<WebSocket, number> = new WeakMap();
  #restUntilMs = 0;
  /** Whether there were too few at the last time. */
  #isExhausted = false;

  constructor(lastHeartbeatMs: (socket: WebSocket) => number | null) {
    this.#lastHeartbeatMs = lastHeartbeatMs;
  }

  /** A frame of a socket that is not a heartbeat shows that it is there, as far as memory reaches. */
  hear(socket: WebSocket, nowMs: number): void {
    this.#heardAtMs.set(socket, nowMs);
  }

  /** A socket is gone. */
  forget(socket: WebSocket): void {
    this.#found.delete(socket);
  }

  /** Finds so many who have vanished, or fewer. */
  find(count: number, sockets: () => Iterable<WebSocket>, nowMs: number): readonly WebSocket[] {
    const isResting = nowMs < this.#restUntilMs;
    if (isResting && this.#isExhausted) return [];
    let found = this.#choose(count, nowMs);
    if (found.length < count && !isResting) {
      this.#walk(sockets(), nowMs);
      found = this.#choose(count, nowMs);
    }
    this.#isExhausted = found.length < count;
    return found;
  }

  #choose(count: number, nowMs: number): WebSocket[] {
    const chosen: WebSocket[] = [];
    for (const socket of this.#found) {
      if (chosen.length === count) break;
      if (this.#hasVanished(socket, nowMs)) chosen.push(socket);
      else this.#found.delete(socket);
    }
    return chosen;
  }

  #walk(sockets: Iterable<WebSocket>, nowMs: number): void {
    this.#restUntilMs = nowMs + REST_MS;
    this.#found.clear();
    const silent = [...sockets].flatMap((socket) => {
      const atMs = this.#lastHeartbeatMs(socket);
      return atMs !== null && this.#hasVanished(socket, nowMs) ? [{ socket, atMs }] : [];
    });
    for (const { socket } of silent.toSorted((one, other) => one.atMs - other.atMs)) {
      this.#found.add(socket);
    }
  }

  #hasVanished(socket: WebSocket, nowMs: number): boolean {
    return isSilent(
      {
        heartbeatSeconds: null,
        connectedAtMs: 0,
        lastHeartbeatMs: this.#lastHeartbeatMs(socket),
        lastMessageMs: this.#heardAtMs.get(socket) ?? null,
      },
      nowMs,
    );
  }
}
