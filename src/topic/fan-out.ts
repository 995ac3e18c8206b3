/**
 * Fan-out: every message to every subscriber, in order, at the least cost per delivery. An idle topic
 * sends at once; under load messages gather for a few milliseconds and go out in rounds, a batch a
 * round, socket by socket, a slice at a time, giving the loop back in between (ARCHITECTURE.md,
 * Fan-out, has the measurements). Knows nothing of phases or publishers.
 * Invariants: a batch is in the log before anyone sees it; a socket gets a batch whole; rounds never
 * overlap; what is in the log after a socket was added is sent to it, unless it leaves first.
 */
import type { Batch } from "./batch.ts";
import { unitsOf } from "./batch.ts";
import type { Publication } from "./publication.ts";
import type { Subscriber } from "./subscriber.ts";
import { turn } from "./turn.ts";

/** What a fan-out needs of its topic. */
export interface FanOutTopic {
  /** Puts publications into the log; `null` when they have no message. */
  append(publications: readonly Publication[]): Batch | null;
  /** Whether each batch costs a row. */
  isDurable(): boolean;
  /** Bytes that may wait for a subscriber. */
  maxBacklogBytes(): number;
  /** A subscriber is over that bound when a batch is due. */
  onSlow(subscriber: Subscriber): void;
  /** Everything is sent and nothing lingers. */
  onIdle(): void;
  /** Lets nothing else happen to the topic until the work is done: who sends is held up. */
  hold(work: () => Promise<void>): void;
  /** Something is wrong that nobody has foreseen: nothing is delivered any more. */
  onFailure(error: unknown): void;
}

/** Milliseconds that messages gather after a round, so that the next one carries several. */
export const LINGER_MS = 4;
/** The same where a batch costs a row, unless there are enough messages to share its price. */
const DURABLE_LINGER_MS = 125;
const ENOUGH_MESSAGES = 16;
/**
 * Sends before the loop turns: the sockets' write pumps run while the messages are in cache. A single
 * message goes to this many sockets at a time, since each turn of the loop adds to its latency.
 */
const SLICE_SENDS = 128;
/** A batch counts as so many sends at most: a slice has at least 4 raw sockets, however many messages. */
const MAX_RAW_SENDS = 32;
/** What a stream frame with several messages counts: slices of 24 sockets. */
const STREAM_SENDS = 5;
/** Units of a batch, unless one publication has more: clients bound the size of a frame. */
const MAX_BATCH_UNITS = 512 * 1024;
/** Messages that may gather: beyond them a publish is refused, and who sends raw frames is held up. */
const MAX_GATHERED_MESSAGES = 4096;
/** Bytes (UTF-16 units of text) that may gather, likewise. */
const MAX_GATHERED_UNITS = 8 * 1024 * 1024;
/** While more than a batch is waiting, how long subscribers have between rounds to get below their bound. */
const PATIENCE_MS = 250;
const LOOK_MS = 5;
/** Senders are let go after so long, and held up again if need be: the runtime resets who blocks for 30 s. */
const MAX_HOLD_MS = 5000;

interface Round {
  readonly batch: Batch;
  /** Who was a member when the round began; a newcomer waits for the next. */
  readonly subscribers: readonly Subscriber[];
  /** The index of the first subscriber that has not been served. */
  next: number;
}

/** The fan-out of one topic. */
export class FanOut {
  readonly #topic: FanOutTopic;
  readonly #members: Map<WebSocket, Subscriber> = new Map();
  /** Members as an array, rebuilt only after a change: rounds iterate it. */
  #snapshot: readonly Subscriber[] | null = null;
  #gathered: Publication[] = [];
  #gatheredMessages = 0;
  #gatheredUnits = 0;
  #round: Round | null = null;
  /** Whether the pump is between two slices or lingers; it is started once and ends when all is out. */
  #isPumping = false;
  #isHolding = false;
  /** Ends a linger before its time. */
  #endLinger: (() => void) | null = null;

  constructor(topic: FanOutTopic) {
    this.#topic = topic;
  }

  /** How many sockets it serves. */
  get size(): number {
    return this.#members.size;
  }

  /** Whether it is at rest: nothing gathered, nothing under way, no linger. */
  get isIdle(): boolean {
    return !this.#isPumping;
  }

  /** Those it serves. */
  get sockets(): Iterable<WebSocket> {
    return this.#members.keys();
  }

  /** The same as subscribers. */
  get subscribers(): Iterable<Subscriber> {
    return this.#members.values();
  }

  /** The subscriber of a socket that it serves. */
  get(socket: WebSocket): Subscriber | undefined {
    return this.#members.get(socket);
  }

  /** Serves a subscriber from the next batch on. */
  add(subscriber: Subscriber): void {
    this.#members.set(subscriber.socket, subscriber);
    this.#snapshot = null;
  }

  /** Stops serving a socket; no-op for one it does not serve. */
  remove(socket: WebSocket): void {
    if (this.#members.delete(socket)) this.#snapshot = null;
  }

  /** Whether no more should be taken from whoever can be told to wait. */
  get isFull(): boolean {
    return (
      this.#gatheredMessages > MAX_GATHERED_MESSAGES || this.#gatheredUnits > MAX_GATHERED_UNITS
    );
  }

  /** Takes a publication for every member. Synchronous up to the first slice of an idle topic. */
  publish(publication: Publication): void {
    this.#gathered.push(publication);
    this.#gatheredMessages += publication.messages.length;
    this.#gatheredUnits += unitsOf(publication.messages);
    // Who gets no receipt cannot be told to wait, and is held up instead.
    if (this.isFull && publication.receipt === null && !this.#isHolding) {
      this.#isHolding = true;
      this.#topic.hold(() => this.#catchUp());
    }
    if (!this.#isPumping) this.#pump().catch((error: unknown) => this.#topic.onFailure(error));
    else if (this.#gatheredMessages >= ENOUGH_MESSAGES) this.#endLinger?.();
  }

  /** Sends all that was published, at once and without yielding. */
  drain(): void {
    do {
      while (this.#serveSlice()) continue;
    } while (this.#beginRound());
  }

  /** Ends the fan-out for everyone: sends what was published, forgets the members, returns them. */
  release(): Subscriber[] {
    this.drain();
    const members = [...this.#members.values()];
    this.#members.clear();
    this.#snapshot = null;
    return members;
  }

  async #pump(): Promise<void> {
    this.#isPumping = true;
    try {
      // While it lingered, senders may have been held up, and let go in the middle of a round.
      while (this.#round !== null || this.#beginRound()) {
        while (this.#serveSlice()) await turn(0);
        await this.#linger();
      }
    } finally {
      this.#isPumping = false;
    }
    this.#topic.onIdle();
  }

  /** Sends what has gathered while nobody can add to it, as fast as subscribers read. */
  async #catchUp(): Promise<void> {
    const untilMs = Date.now() + MAX_HOLD_MS;
    try {
      do {
        while (this.#serveSlice()) {
          await turn(0);
          if (Date.now() >= untilMs) return;
        }
        await this.#beReadTo();
      } while (Date.now() < untilMs && this.#beginRound());
    } finally {
      this.#isHolding = false;
    }
  }

  /** Waits, but not for long, until nobody is over the bound. */
  async #beReadTo(): Promise<void> {
    const maxBacklog = this.#topic.maxBacklogBytes();
    const isOver = ({ backlog }: Subscriber): boolean => backlog > maxBacklog;
    for (let waitedMs = 0; waitedMs < PATIENCE_MS; waitedMs += LOOK_MS) {
      if (!this.#members.values().some(isOver)) return;
      await turn(LOOK_MS);
    }
  }

  async #linger(): Promise<void> {
    // There was more than one batch takes.
    if (this.#gathered.length > 0 && this.#gatheredUnits > MAX_BATCH_UNITS) {
      await turn(0);
      return this.#beReadTo();
    }
    await turn(LINGER_MS);
    if (!this.#topic.isDurable() || this.#gatheredMessages >= ENOUGH_MESSAGES) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#endLinger = resolve;
    await Promise.race([promise, turn(DURABLE_LINGER_MS - LINGER_MS)]);
    this.#endLinger = null;
  }

  /** Makes a round of what has gathered; false when there is nothing. */
  #beginRound(): boolean {
    if (this.#gathered.length === 0) return false;
    const batch = this.#topic.append(this.#take());
    if (batch === null) return true;
    this.#snapshot ??= [...this.#members.values()];
    this.#round = { batch, subscribers: this.#snapshot, next: 0 };
    return true;
  }

  /** Takes as many publications as a batch should have, never a part of one. */
  #take(): Publication[] {
    const all = this.#gathered;
    let count = all.length;
    if (this.#gatheredUnits > MAX_BATCH_UNITS) {
      let units = 0;
      count = all.findIndex(({ messages }) => (units += unitsOf(messages)) > MAX_BATCH_UNITS);
      count = Math.max(1, count < 0 ? all.length : count);
    }
    const taken = count === all.length ? all : all.slice(0, count);
    this.#gathered = count === all.length ? [] : all.slice(count);
    for (const { messages } of taken) {
      this.#gatheredMessages -= messages.length;
      this.#gatheredUnits -= unitsOf(messages);
    }
    return taken;
  }

  /** Serves the next subscribers of the round; false when that was the last of them. */
  #serveSlice(): boolean {
    const round = this.#round;
    if (round === null) return false;
    const { batch, subscribers } = round;
    const messages = batch.place.last - batch.place.first + 1;
    const rawSends = Math.min(messages, MAX_RAW_SENDS);
    const streamSends = messages === 1 ? 1 : STREAM_SENDS;
    const maxBacklog = this.#topic.maxBacklogBytes();
    for (let sends = 0; sends < SLICE_SENDS; round.next++) {
      const subscriber = subscribers[round.next];
      if (subscriber === undefined) break;
      if (subscriber.backlog > maxBacklog) {
        this.#topic.onSlow(subscriber);
        continue;
      }
      subscriber.send(batch);
      sends += subscriber.protocol === "raw" ? rawSends : streamSends;
    }
    if (round.next < subscribers.length) return true;
    this.#round = null;
    return false;
  }
}
