/**
 * Those whose topic has ended: each is given what it is owed, as fast as it reads, then told of the end and closed, a
 * slice at a time. Whoever comes now is in the audience, and none of them.
 * Invariant: nobody is told of the end before it has everything.
 */
import { closeAtEnd } from "../core/close-code.ts";
import type { EndReason } from "../core/end-reason.ts";
import type { DeliveryNode } from "./delivery-node.ts";
import type { FanOut } from "./fan-out.ts";
import type { Replay } from "./replay.ts";
import type { Subscriber } from "./subscriber.ts";
import { turn } from "./turn.ts";

/** Subscribers that are closed before the loop turns: a close costs some 0.1 ms. */
const SLICE = 16;
/** How often those that are still replayed to are looked at. */
const LOOK_MS = 10;

/** The parts of an audience that has been detached. */
export interface EndedParts {
  /** The epoch in which they acknowledge. */
  readonly epoch: string;
  /** Whom it serves, and whom the replay hands over to it, lacks only what is due from it. */
  readonly fanOut: FanOut;
  readonly replay: Replay;
}

/** One end of one topic. */
export class Ending {
  readonly epoch: string;
  readonly #node: Pick<DeliveryNode, "close">;
  readonly #fanOut: FanOut;
  readonly #replay: Replay;

  constructor({ epoch, fanOut, replay }: EndedParts, node: Pick<DeliveryNode, "close">) {
    this.epoch = epoch;
    this.#fanOut = fanOut;
    this.#replay = replay;
    this.#node = node;
  }

  /** The subscriber of a socket that has not been closed. */
  get(socket: WebSocket): Subscriber | undefined {
    return this.#fanOut.get(socket) ?? this.#replay.get(socket);
  }

  /** Forgets a socket. */
  remove(socket: WebSocket): void {
    this.#fanOut.remove(socket);
    this.#replay.remove(socket);
  }

  /** Serves everyone; settles when nobody is left, and nothing is kept for them. Without a turn of the loop where there are few. */
  async run(reason: EndReason): Promise<void> {
    for (;;) {
      while (this.#fanOut.serve()) await this.#fanOut.rest();
      const ready = [...this.#fanOut.subscribers.take(SLICE)];
      for (const subscriber of ready) {
        subscriber.end(reason);
        this.#node.close(subscriber.socket, closeAtEnd(reason));
      }
      if (this.#fanOut.size === 0 && this.#replay.isIdle) return;
      await turn(ready.length === 0 ? LOOK_MS : 0);
    }
  }
}
