/**
 * Fan-out: every batch to every subscriber, in order, at the least cost per delivery: socket by socket, a slice at
 * a time, so that the loop can turn in between. Knows nothing of publishers or the log.
 * Invariants: a socket gets a batch whole; rounds never overlap; what was handed over after a socket was added is
 * sent to it, unless it leaves first.
 */
import { SLOW_CONSUMER } from "../core/close-code.ts";
import { reached } from "../core/coverage-mark.ts";
import { Backlogs } from "./backlogs.ts";
import type { Batch } from "./batch.ts";
import type { DeliveryNode } from "./delivery-node.ts";
import type { Subscriber } from "./subscriber.ts";
import { turn } from "./turn.ts";

/**
 * Sends before the loop turns: the sockets' write pumps run while the messages are in cache. A single
 * message goes to this many sockets at a time, since each turn of the loop adds to its latency.
 */
const SLICE_SENDS = 128;
/** A batch counts as so many sends at most: a slice has at least 4 raw sockets, however many messages. */
const MAX_RAW_SENDS = 32;
/** What a stream frame of a batch of several messages counts: slices of 26 sockets. */
const STREAM_SENDS = 5;
/** What a close counts, which costs some 0.1 ms: slices of 16 sockets. */
const CLOSE_SENDS = 8;
/** Bytes that are sent before the loop turns, half of what may wait: else who reads were taken for one who does not. */
const SLICE_BYTES = 32 * 1024 * 1024;
/** How far the first of a round moves on: the golden section, so that nobody is among the last for long. */
const ROTATION = 0.618;
/** How long subscribers have between rounds to get below their bound. */
const PATIENCE_MS = 250;
const LOOK_MS = 5;

interface Round {
  readonly batch: Batch;
  /** Those that were served when the batch was handed over; a newcomer waits for the next. */
  readonly subscribers: readonly Subscriber[];
  /** The index of the next one to be served. */
  next: number;
  /** How many have not been served. */
  left: number;
}

/** The fan-out of one node. */
export class FanOut {
  readonly #node: Pick<DeliveryNode, "maxBacklogBytes" | "close">;
  readonly #backlogs: Backlogs;
  readonly #subscribers: Map<WebSocket, Subscriber> = new Map();
  /** The same as an array, rebuilt only after a change: rounds iterate it. */
  #snapshot: readonly Subscriber[] | null = null;
  /** The first one is under way. */
  readonly #rounds: Round[] = [];
  /** Where the next round begins, as a share of all: the last one has waited for all others. */
  #start = 0;

  constructor(
    node: Pick<DeliveryNode, "maxBacklogBytes" | "close">,
    backlogs: Backlogs = new Backlogs(node),
  ) {
    this.#node = node;
    this.#backlogs = backlogs;
  }

  /** How many sockets it serves. */
  get size(): number {
    return this.#subscribers.size;
  }

  /** Those it serves. */
  get subscribers(): IteratorObject<Subscriber> {
    return this.#subscribers.values();
  }

  /** The subscriber of a socket that it serves. */
  get(socket: WebSocket): Subscriber | undefined {
    return this.#subscribers.get(socket);
  }

  /** Serves a subscriber from the next batch on. */
  add(subscriber: Subscriber): void {
    this.#subscribers.set(subscriber.socket, subscriber);
    this.#backlogs.join(subscriber);
    this.#snapshot = null;
  }

  /** Stops serving a socket; no-op for one it does not serve. */
  remove(socket: WebSocket): void {
    const subscriber = this.#subscribers.get(socket);
    if (subscriber === undefined) return;
    this.#subscribers.delete(socket);
    this.#backlogs.forget(subscriber);
    this.#snapshot = null;
  }

  /** Whether nothing is due to anybody. */
  get isIdle(): boolean {
    return this.#rounds.length === 0;
  }

  /** Whether more waits for a subscriber than may. */
  get isAnybodySlow(): boolean {
    const maxBacklog = this.#node.maxBacklogBytes();
    return this.#subscribers.values().some((subscriber) => subscriber.isOver(maxBacklog));
  }

  /** Takes a batch for everyone that it serves; `serve` sends it. */
  deliver(batch: Batch): void {
    this.#snapshot ??= [...this.#subscribers.values()];
    const { length } = this.#snapshot;
    const next = Math.floor(this.#start * length);
    this.#rounds.push({ batch, subscribers: this.#snapshot, next, left: length });
    this.#start = (this.#start + ROTATION) % 1;
  }

  /** Serves the next subscribers; whether there are more to be served. */
  serve(): boolean {
    const [round] = this.#rounds;
    if (round === undefined) return false;
    const { batch, subscribers } = round;
    const messages = batch.place.last - batch.place.first + 1;
    const rawSends = Math.min(messages, MAX_RAW_SENDS);
    const frameSends = messages === 1 ? 1 : STREAM_SENDS;
    const maxBacklog = this.#node.maxBacklogBytes();
    let bytes = 0;
    for (
      let sends = 0;
      sends < SLICE_SENDS && bytes < SLICE_BYTES && round.left > 0;
      round.left--
    ) {
      const subscriber = subscribers[round.next];
      if (subscriber === undefined) break;
      round.next = round.next + 1 === subscribers.length ? 0 : round.next + 1;
      if (subscriber.isOver(maxBacklog)) {
        // It may have left since the batch was handed over: nobody is closed twice.
        if (this.#subscribers.has(subscriber.socket)) {
          reached("slow-in-round");
          this.#node.close(subscriber.socket, SLOW_CONSUMER);
          sends += CLOSE_SENDS;
        } else {
          reached("gone-when-slow");
        }
        continue;
      }
      bytes += subscriber.send(batch);
      this.#backlogs.count(subscriber);
      sends += subscriber.protocol === "raw" ? rawSends : frameSends * batch.frames.length;
      // Room is made before the next one is served.
      if (this.#backlogs.isOver) sends = SLICE_SENDS;
    }
    if (round.left === 0) this.#rounds.shift();
    return !this.isIdle;
  }

  /** Waits, but not for long, until nobody is over the bound. */
  async beReadTo(): Promise<void> {
    for (let waitedMs = 0; waitedMs < PATIENCE_MS; waitedMs += LOOK_MS) {
      if (!this.isAnybodySlow) return;
      reached("patience-taken");
      await turn(LOOK_MS);
    }
    reached("patience-at-its-end");
  }

  /** Between two slices: until the topic has room for more; between two rounds until they are read to. */
  async rest(): Promise<void> {
    await turn(0);
    if (this.#backlogs.isOver) await this.#backlogs.makeRoom();
    const [round] = this.#rounds;
    if (round?.left === round?.subscribers.length) await this.beReadTo();
  }

  /** Hands over all whom it serves, with what is due to them; goes on with nobody. */
  detach(node: Pick<DeliveryNode, "maxBacklogBytes" | "close">): FanOut {
    const detached = new FanOut(node, this.#backlogs);
    for (const subscriber of this.#subscribers.values()) detached.add(subscriber);
    detached.#rounds.push(...this.#rounds.splice(0));
    this.#subscribers.clear();
    this.#snapshot = null;
    return detached;
  }
}
