/**
 * Bounds the queries that this isolate has under way, so that a rush neither floods the key store nor eats the time
 * that a query is given; the rest waits in line. Knows nothing of what is asked. Invariants: each wait ends within a
 * bound; a place that is not given back, since the request that had it was cut off, is free again soon.
 */
import { NO_ANSWER, QUERY_TIMEOUT_MS, type Unavailable } from "./key-store.ts";

/** Queries under way: an isolate is one of many, and a small Postgres has some hundred connections. */
const MAX_RUNNING = 50;
/** Those in line; each holds a client's request. */
const MAX_WAITING = 5000;
/** How long one waits in line: less than the runtime lets work go on whose client has left. */
const MAX_WAIT_MS = 20_000;
/** More than a query may take, also in a busy isolate: a place that was taken for longer is nobody's. */
const LEASE_MS = QUERY_TIMEOUT_MS * 2;

const TOO_MANY: Unavailable = { type: "unavailable", reason: "Too many queries wait in line" };

/** How often those in line look for such places. */
const LOOK_MS = LEASE_MS;

interface Waiter {
  readonly sinceMs: number;
  /** Its wait is over: by its turn, or by a fault. */
  readonly end: (outcome: "called" | Unavailable) => void;
}

/** The line in front of one key store. */
export class QueryQueue {
  /** When each of those under way took its place. */
  readonly #running: Map<object, number> = new Map();
  /** In the order of their coming. */
  readonly #waiting: Set<Waiter> = new Set();
  #answeredAtMs = -Infinity;

  /** Runs a query when there is a place; `setWaiting` hears when it has to wait in line, and when no more. */
  async run<T extends { readonly type: string }>(
    query: () => Promise<T | Unavailable>,
    setWaiting: (isWaiting: boolean) => void,
  ): Promise<T | Unavailable> {
    const place = {};
    if (!this.#take(place)) {
      const outcome = await this.#standInLine(place, setWaiting);
      if (outcome !== "called") return outcome;
    }
    try {
      const answer = await query();
      if (answer.type !== "unavailable") this.#answeredAtMs = Date.now();
      else this.#sendAway();
      return answer;
    } finally {
      this.#running.delete(place);
      this.#callUp();
    }
  }

  /** Takes a place at once, unless all are taken or others wait. */
  #take(place: object): boolean {
    this.#callUp();
    if (this.#waiting.size > 0 || !this.#hasRoom()) return false;
    this.#running.set(place, Date.now());
    return true;
  }

  /** Waits for a place, which is taken when it returns `"called"`. */
  async #standInLine(
    place: object,
    setWaiting: (isWaiting: boolean) => void,
  ): Promise<"called" | Unavailable> {
    if (this.#waiting.size >= MAX_WAITING) return TOO_MANY;
    const { promise, resolve } = Promise.withResolvers<"called" | Unavailable>();
    const sinceMs = Date.now();
    const waiter: Waiter = {
      sinceMs,
      end: (outcome) => {
        this.#waiting.delete(waiter);
        // By whoever makes room, not by who waits: that one may have been cut off.
        if (outcome === "called") this.#running.set(place, Date.now());
        setWaiting(false);
        resolve(outcome);
      },
    };
    this.#waiting.add(waiter);
    setWaiting(true);
    const timer = setInterval(() => {
      if (Date.now() - sinceMs >= MAX_WAIT_MS) waiter.end(TOO_MANY);
      this.#callUp();
    }, LOOK_MS);
    try {
      return await promise;
    } finally {
      clearInterval(timer);
    }
  }

  /** Where others had their turn since one came, and none got an answer, the line is not to blame. */
  #sendAway(): void {
    for (const waiter of this.#waiting) {
      if (this.#answeredAtMs < waiter.sinceMs && waiter.sinceMs < Date.now()) waiter.end(NO_ANSWER);
    }
  }

  /** Gives free places to those who came first. */
  #callUp(): void {
    for (const waiter of this.#waiting) {
      if (!this.#hasRoom()) return;
      waiter.end("called");
    }
  }

  #hasRoom(): boolean {
    if (this.#running.size < MAX_RUNNING) return true;
    const endedMs = Date.now() - LEASE_MS;
    for (const [place, sinceMs] of this.#running) {
      // They stand in the order in which they were taken.
      if (sinceMs > endedMs) break;
      this.#running.delete(place);
    }
    return this.#running.size < MAX_RUNNING;
  }
}
