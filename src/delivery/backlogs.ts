/**
 * What the runtime holds for all subscribers of a topic. `send()` copies for each, so what nobody reads could fill the
 * memory that the topic shares with others of its isolate. Over the bound, those furthest behind go first. Knows
 * neither batches nor the log.
 * Invariant: between two sends to different sockets the sum is known, or more than it is. It is looked at anew, which
 * walks over all, only where it would be over the bound.
 */
import { SLOW_CONSUMER } from "../core/close-code.ts";
import { reached } from "../core/coverage-mark.ts";
import type { DeliveryNode } from "./delivery-node.ts";
import type { Subscriber } from "./subscriber.ts";
import { turn } from "./turn.ts";

/** Half of what an isolate has (128 MB, platform limits): rows, batches and frames, and other topics, need the rest. */
const MAX_BYTES = 64 * 1024 * 1024;
/**
 * Closing frees nothing: the runtime holds what it has until the connection ends, and nobody can end that. So what is
 * held for those who were closed takes half as much from the others, who keep this in any case.
 */
const LEAST_BYTES = 8 * 1024 * 1024;
/** What is left when subscribers had to go: so that a walk over all is not due with each message that follows. */
const LEFT_SHARE = 0.75;
/** While it is over the bound, how long is waited for so much to be read. */
const PATIENCE_MS = 250;
const LOOK_MS = 5;
const PROGRESS_BYTES = MAX_BYTES / 4;

/** Those who were closed are looked at when there are so many, and then when there are twice as many as stayed. */
const MANY_LEAVING = 64;

/** The backlogs of one topic. */
export class Backlogs {
  readonly #node: Pick<DeliveryNode, "close">;
  /** What was last counted for each. */
  readonly #counted: Map<Subscriber, number> = new Map();
  #bytes = 0;
  /** Those who are gone from the topic, and whose queue is not. */
  readonly #leaving: Set<Subscriber> = new Set();
  #leavingBytes = 0;
  /** How many of them there are when they are looked at again. */
  #manyLeaving = MANY_LEAVING;

  constructor(node: Pick<DeliveryNode, "close">) {
    this.#node = node;
  }

  /** How much there is, or less. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Whether that is more than may be. */
  get isOver(): boolean {
    return this.#bytes > this.#mostBytes;
  }

  /** Counts a subscriber from now on; no-op for one that it counts. */
  join(subscriber: Subscriber): void {
    if (!this.#counted.has(subscriber)) this.#counted.set(subscriber, 0);
  }

  /** Counts what is held for it now; no-op for one that is gone. */
  count(subscriber: Subscriber): void {
    const counted = this.#counted.get(subscriber);
    if (counted === undefined) return;
    const { heldBytes } = subscriber;
    this.#bytes += heldBytes - counted;
    this.#counted.set(subscriber, heldBytes);
  }

  /** One is gone, or is about to be closed: it is counted no more, but for what the runtime still holds for it. */
  forget(subscriber: Subscriber): void {
    const counted = this.#counted.get(subscriber);
    if (counted === undefined) return;
    this.#bytes -= counted;
    this.#counted.delete(subscriber);
    subscriber.look();
    if (subscriber.isGone || subscriber.heldBytes === 0) return;
    this.#leaving.add(subscriber);
    this.#leavingBytes += subscriber.heldBytes;
    if (this.#leaving.size >= this.#manyLeaving) this.#lookAtLeaving();
  }

  /** Waits, but not for long, until there is room; closes who is furthest behind where that is in vain. */
  async makeRoom(): Promise<void> {
    this.look();
    let fromBytes = this.#bytes;
    for (let waitedMs = 0; this.isOver; waitedMs += LOOK_MS) {
      if (waitedMs >= PATIENCE_MS) {
        this.#closeFurthest();
        return;
      }
      reached("topic-waited-to-be-read");
      await turn(LOOK_MS);
      this.look();
      if (fromBytes - this.#bytes < PROGRESS_BYTES) continue;
      reached("topic-read-meanwhile");
      fromBytes = this.#bytes;
      waitedMs = 0;
    }
  }

  /** Learns how much there is; walks over all. */
  look(): void {
    for (const subscriber of this.#counted.keys()) {
      subscriber.look();
      this.count(subscriber);
    }
    this.#lookAtLeaving();
  }

  /** How much there may be. */
  get #mostBytes(): number {
    return Math.max(LEAST_BYTES, MAX_BYTES - this.#leavingBytes / 2);
  }

  #lookAtLeaving(): void {
    this.#leavingBytes = 0;
    for (const subscriber of this.#leaving) {
      subscriber.look();
      if (subscriber.isGone || subscriber.heldBytes === 0) this.#leaving.delete(subscriber);
      else this.#leavingBytes += subscriber.heldBytes;
    }
    this.#manyLeaving = Math.max(MANY_LEAVING, 2 * this.#leaving.size);
  }

  #closeFurthest(): void {
    const furthest = [...this.#counted].toSorted(([, one], [, other]) => other - one);
    for (const [subscriber] of furthest) {
      if (this.#bytes <= this.#mostBytes * LEFT_SHARE) return;
      reached("furthest-behind-closed");
      this.#node.close(subscriber.socket, SLOW_CONSUMER);
      // Whatever the node makes of it, it is not to be counted again.
      this.forget(subscriber);
    }
  }
}
