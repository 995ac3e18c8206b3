/**
 * Fan-out: every message to every subscriber, in order, at the least cost per delivery. An idle topic
 * sends at once; under load messages gather for a few milliseconds and go out in rounds, socket by
 * socket, a slice at a time, giving the loop back in between (ARCHITECTURE.md, Fan-out, has the
 * measurements). Knows nothing of phases or publishers.
 * Invariants: a socket gets the messages of a round in order and whole; rounds never overlap; what was
 * published to a member is sent to it, unless it leaves first.
 */

/** A text or binary message, as it came. */
export type Message = string | ArrayBuffer;

/** Milliseconds that messages gather after a round, so that the next one carries several. */
export const LINGER_MS = 4;
/**
 * Sends before the loop turns: the sockets' write pumps run while the messages are in cache. A single
 * message goes to this many sockets at a time, since each turn of the loop adds to its latency.
 */
const SLICE_SENDS = 128;
/** Sockets of a slice at least, however many messages a round has. */
const MIN_SLICE_SOCKETS = 4;
/** Messages that may gather; one more and the round goes out without yielding. */
const MAX_GATHERED_MESSAGES = 4096;
/** Bytes (UTF-16 units of text) that may gather, likewise. */
const MAX_GATHERED_BYTES = 8 * 1024 * 1024;

interface Round {
  readonly messages: readonly Message[];
  /** Who was a member when the round began; a newcomer waits for the next. */
  readonly sockets: readonly WebSocket[];
  /** How many sockets are served before the loop turns. */
  readonly slice: number;
  /** The index of the first socket that has not been served. */
  next: number;
}

/** The fan-out of one topic. */
export class FanOut {
  readonly #members: Set<WebSocket> = new Set();
  /** Members as an array, rebuilt only after a change: rounds iterate it. */
  #snapshot: readonly WebSocket[] | null = null;
  #gathered: Message[] = [];
  #gatheredBytes = 0;
  #round: Round | null = null;
  /** Whether the pump is between two slices or lingers; it is started once and ends when all is out. */
  #pumping = false;

  /** How many sockets it serves. */
  get size(): number {
    return this.#members.size;
  }

  /** Serves a socket from the next round on. */
  add(socket: WebSocket): void {
    this.#members.add(socket);
    this.#snapshot = null;
  }

  /** Stops serving a socket; no-op for one it does not serve. */
  remove(socket: WebSocket): void {
    if (this.#members.delete(socket)) this.#snapshot = null;
  }

  /** Takes a message for every member. Synchronous up to the first slice of an idle topic. */
  publish(message: Message): void {
    if (this.#members.size === 0) return;
    this.#gathered.push(message);
    this.#gatheredBytes += typeof message === "string" ? message.length : message.byteLength;
    if (this.#gathered.length > MAX_GATHERED_MESSAGES || this.#gatheredBytes > MAX_GATHERED_BYTES) {
      this.drain();
    }
    if (!this.#pumping) void this.#pump();
  }

  /** Sends all that was published, at once and without yielding. */
  drain(): void {
    do {
      while (this.#serveSlice()) continue;
    } while (this.#beginRound());
  }

  /** Ends the fan-out for everyone: sends what was published, forgets the members, returns them. */
  release(): WebSocket[] {
    this.drain();
    const members = [...this.#members];
    this.#members.clear();
    this.#snapshot = null;
    return members;
  }

  async #pump(): Promise<void> {
    this.#pumping = true;
    try {
      while (this.#beginRound()) {
        while (this.#serveSlice()) await turn(0);
        await turn(LINGER_MS);
      }
    } finally {
      this.#pumping = false;
    }
  }

  /** Makes a round of what has gathered; false when there is nothing to send. */
  #beginRound(): boolean {
    if (this.#gathered.length === 0) return false;
    this.#snapshot ??= [...this.#members];
    this.#round = {
      messages: this.#gathered,
      sockets: this.#snapshot,
      slice: Math.max(MIN_SLICE_SOCKETS, Math.floor(SLICE_SENDS / this.#gathered.length)),
      next: 0,
    };
    this.#gathered = [];
    this.#gatheredBytes = 0;
    return true;
  }

  /** Serves the next sockets of the round; false when that was the last of them. */
  #serveSlice(): boolean {
    const round = this.#round;
    if (round === null) return false;
    const end = Math.min(round.next + round.slice, round.sockets.length);
    for (; round.next < end; round.next++) {
      const socket = round.sockets[round.next];
      if (socket !== undefined) sendAll(socket, round.messages);
    }
    if (round.next < round.sockets.length) return true;
    this.#round = null;
    return false;
  }
}

function sendAll(socket: WebSocket, messages: readonly Message[]): void {
  // It left in mid-round.
  if (socket.readyState !== WebSocket.OPEN) return;
  try {
    for (const message of messages) socket.send(message);
  } catch {
    // TypeError: closed since the check. Its close event removes it; the others must not suffer.
  }
}

/** Gives the loop back: timers, not promises, let other events and the write pumps run. */
function turn(ms: number): Promise<void> {
  return scheduler.wait(ms);
}
