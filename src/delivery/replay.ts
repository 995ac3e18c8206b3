/**
 * Replay: brings subscribers that asked for the past up to the present, batch by batch out of the log,
 * and hands each over to the fan-out in the very moment in which it lacks nothing, so that there is
 * neither hole nor repeat. Nobody is filled faster than they read.
 */
import type { LogView } from "./log-view.ts";
import type { Subscriber } from "./subscriber.ts";
import { turn } from "./turn.ts";

/** What a replay needs of its node. */
export interface ReplayNode {
  maxBacklogBytes(): number;
  /** It has everything up to an offset: the place must outlive hibernation. */
  onProgress(subscriber: Subscriber, offset: number): void;
  /** It has all that is in the log, and misses nothing if it is served from the next batch on. */
  onCurrent(subscriber: Subscriber): void;
  /** What it needs next is gone, and it asked to be closed then. */
  onGap(subscriber: Subscriber): void;
  /** So many messages cannot be read. */
  onUnreadable(messages: number): void;
  /** It does not read. */
  onSlow(subscriber: Subscriber): void;
  /** Nobody is behind any more. */
  onIdle(): void;
  /** Something is wrong that nobody has foreseen: nothing is replayed any more. */
  onFailure(error: unknown): void;
}

/** Bytes that may wait for a subscriber before it is given more. */
const FILL_BYTES = 256 * 1024;
/** How long it may not read at all. */
const STALL_MS = 10_000;
/** How often one that is full is looked at. */
const LOOK_MS = 10;
/** Subscribers that are given a batch before the loop turns. */
const SLICE = 24;

interface Behind {
  readonly subscriber: Subscriber;
  offset: number;
  /** When it was last given something; milliseconds since the epoch. */
  fedAtMs: number;
}

/** The replay of one node. */
export class Replay {
  readonly #node: ReplayNode;
  readonly #log: LogView;
  readonly #behind: Map<WebSocket, Behind> = new Map();
  #isPumping = false;

  constructor(log: LogView, node: ReplayNode) {
    this.#log = log;
    this.#node = node;
  }

  /** How many sockets it serves. */
  get size(): number {
    return this.#behind.size;
  }

  /** Those it serves. */
  get sockets(): Iterable<WebSocket> {
    return this.#behind.keys();
  }

  /** The same as subscribers, each with the offset up to which it was given everything. */
  get places(): Iterable<{ readonly subscriber: Subscriber; readonly offset: number }> {
    return this.#behind.values();
  }

  /** The subscriber of a socket that it serves. */
  get(socket: WebSocket): Subscriber | undefined {
    return this.#behind.get(socket)?.subscriber;
  }

  /** Takes a subscriber that has all up to an offset. */
  add(subscriber: Subscriber, offset: number): void {
    const behind = { subscriber, offset, fedAtMs: Date.now() };
    this.#behind.set(subscriber.socket, behind);
    this.#node.onProgress(subscriber, offset);
    // The beginning at once: it might be gone by the next turn of the loop.
    this.#feed(behind);
    if (!this.#isPumping) this.#pump().catch((error: unknown) => this.#node.onFailure(error));
  }

  /** Stops serving a socket; no-op for one it does not serve. */
  remove(socket: WebSocket): void {
    this.#behind.delete(socket);
  }

  /** Gives everyone all there is, at once; who cannot take it is too slow. */
  drain(): void {
    for (const behind of this.#behind.values()) {
      while (this.#behind.has(behind.subscriber.socket)) {
        if (behind.subscriber.backlog > this.#node.maxBacklogBytes()) {
          this.#node.onSlow(behind.subscriber);
        } else {
          this.#feed(behind);
        }
      }
    }
  }

  async #pump(): Promise<void> {
    this.#isPumping = true;
    try {
      while (this.#behind.size > 0) {
        this.#log.keepBehind(Math.min(...[...this.#behind.values()].map(({ offset }) => offset)));
        let fed = 0;
        for (const behind of this.#behind.values()) {
          if (this.#isFull(behind.subscriber)) {
            if (Date.now() - behind.fedAtMs > STALL_MS) this.#node.onSlow(behind.subscriber);
            continue;
          }
          behind.fedAtMs = Date.now();
          this.#feed(behind);
          fed += 1;
          if (fed % SLICE === 0) await turn(0);
        }
        await turn(fed === 0 ? LOOK_MS : 0);
      }
    } finally {
      this.#isPumping = false;
      this.#log.keepBehind(Infinity);
    }
    this.#node.onIdle();
  }

  #isFull(subscriber: Subscriber): boolean {
    // Half the bound: it is not to be over it when it goes live with its last batch still under way.
    return subscriber.backlog > Math.min(FILL_BYTES, this.#node.maxBacklogBytes() / 2);
  }

  /** Gives a subscriber its next batch; who then has all is current. */
  #feed(behind: Behind): void {
    const { subscriber } = behind;
    // Not what is over the bound by now: it was not when the subscriber joined.
    const { gone } = this.#log;
    if (behind.offset < gone && !this.#skip(behind, gone)) return;
    const batch = this.#log.read(behind.offset);
    if (typeof batch === "number") {
      // This reader's loss alone: whoever follows the topic has what is published now.
      this.#node.onUnreadable(batch - behind.offset);
      if (!this.#skip(behind, batch)) return;
    } else if (batch !== null) {
      subscriber.send(batch);
      behind.offset = batch.place.last;
    }
    if (behind.offset < this.#log.head.offset) {
      this.#node.onProgress(subscriber, behind.offset);
      return;
    }
    this.#behind.delete(subscriber.socket);
    this.#node.onCurrent(subscriber);
  }

  /** Tells a subscriber of a gap up to an offset; `false` when it asked to be closed then. */
  #skip(behind: Behind, offset: number): boolean {
    const { subscriber } = behind;
    if (subscriber.closesOnGap) {
      this.#node.onGap(subscriber);
      return false;
    }
    const { epoch } = this.#log.head;
    subscriber.gap({ epoch, offset: behind.offset }, { epoch, offset });
    behind.offset = offset;
    return true;
  }
}
