/**
 * Replay: brings subscribers that asked for the past up to the present, batch by batch out of the log,
 * and hands each over to the fan-out in the very moment in which it lacks nothing, so that there is
 * neither hole nor repeat. Nobody is filled faster than they read.
 */
import { HISTORY_GAP, SLOW_CONSUMER } from "../core/close-code.ts";
import type { DeliveryNode } from "./delivery-node.ts";
import type { FanOut } from "./fan-out.ts";
import { reached } from "../core/coverage-mark.ts";
import type { ReplayedLog } from "./log-view.ts";
import type { Subscriber } from "./subscriber.ts";
import { turn } from "./turn.ts";

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
  readonly #node: DeliveryNode;
  readonly #log: ReplayedLog;
  /** Serves whoever has all that is in the log. */
  readonly #fanOut: FanOut;
  readonly #behind: Map<WebSocket, Behind> = new Map();
  #isPumping = false;

  constructor(log: ReplayedLog, fanOut: FanOut, node: DeliveryNode) {
    this.#log = log;
    this.#fanOut = fanOut;
    this.#node = node;
  }

  /** How many sockets it serves. */
  get size(): number {
    return this.#behind.size;
  }

  /** Whether it serves nobody, and keeps nothing in the log for anybody. */
  get isIdle(): boolean {
    return this.size === 0 && !this.#isPumping;
  }

  /** Those it serves, each with the offset up to which it was given everything. */
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
    this.#rememberPlace(behind);
    // The beginning at once: it might be gone by the next turn of the loop.
    this.#feed(behind);
    this.#start();
  }

  /** Stops serving a socket; no-op for one it does not serve. */
  remove(socket: WebSocket): void {
    this.#behind.delete(socket);
  }

  /** Hands over all whom it serves, to be brought up to the end of a log; goes on with nobody. */
  detach(log: ReplayedLog, fanOut: FanOut, node: DeliveryNode): Replay {
    const detached = new Replay(log, fanOut, node);
    for (const [socket, behind] of this.#behind) detached.#behind.set(socket, behind);
    this.#behind.clear();
    if (detached.size > 0) detached.#start();
    return detached;
  }

  #start(): void {
    if (!this.#isPumping) this.#pump().catch((error: unknown) => this.#node.onFailure(error));
  }

  async #pump(): Promise<void> {
    this.#isPumping = true;
    try {
      while (this.#behind.size > 0) {
        const offsets = [...this.#behind.values()].map(({ offset }) => offset);
        this.#log.keepBehind(Math.min(...offsets), this);
        let fed = 0;
        for (const behind of this.#behind.values()) {
          if (this.#isFull(behind.subscriber)) {
            if (Date.now() - behind.fedAtMs > STALL_MS) {
              reached("replay-stalled");
              this.#node.close(behind.subscriber.socket, SLOW_CONSUMER);
            }
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
      this.#log.keepBehind(Infinity, this);
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
    if (behind.offset < gone) {
      reached("replay-overtaken");
      if (!this.#skip(behind, gone)) return;
    }
    const batch = this.#log.read(behind.offset);
    if (typeof batch === "number") {
      reached("replay-unreadable");
      // This reader's loss alone: whoever follows the topic has what is published now.
      this.#node.onUnreadable(batch - behind.offset);
      if (!this.#skip(behind, batch)) return;
    } else if (batch !== null) {
      subscriber.send(batch);
      behind.offset = batch.place.last;
    }
    if (behind.offset < this.#log.head.offset) {
      this.#rememberPlace(behind);
      return;
    }
    this.#behind.delete(subscriber.socket);
    subscriber.rememberPlace(null);
    this.#fanOut.add(subscriber);
  }

  #rememberPlace({ subscriber, offset }: Behind): void {
    subscriber.rememberPlace({ ...this.#log.head, offset });
  }

  /** Tells a subscriber of a gap up to an offset; `false` when it asked to be closed then. */
  #skip(behind: Behind, offset: number): boolean {
    const { subscriber } = behind;
    if (subscriber.closesOnGap) {
      reached("replay-ended-by-gap");
      this.#node.close(subscriber.socket, HISTORY_GAP);
      return false;
    }
    const { epoch } = this.#log.head;
    subscriber.gap({ epoch, offset: behind.offset }, { epoch, offset });
    behind.offset = offset;
    return true;
  }
}
