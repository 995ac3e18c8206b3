/**
 * Those whose topic has ended: each is given what it is owed, as fast as it reads, then told of the end and closed, a
 * slice at a time. A newcomer is in the audience, and none of them; one that reads what is over joins them.
 * Invariant: nobody is told of the end before it has everything.
 */
import { closeAtEnd } from "../core/close-code.ts";
import type { Cursor } from "../core/cursor.ts";
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

/** Those who are served by an end, and up to where. */
export interface EndedParts {
  /** The place of the last message. */
  readonly head: Cursor;
  /** Whom it serves, and whom the replay hands over to it, lacks only what is due from it. */
  readonly fanOut: FanOut;
  readonly replay: Replay;
}

/** One end of one topic. */
export class Ending {
  readonly #head: Cursor;
  #isOver = false;
  readonly #node: Pick<DeliveryNode, "close">;
  readonly #fanOut: FanOut;
  readonly #replay: Replay;

  constructor({ head, fanOut, replay }: EndedParts, node: Pick<DeliveryNode, "close">) {
    this.#head = head;
    this.#fanOut = fanOut;
    this.#replay = replay;
    this.#node = node;
  }

  /** The epoch in which they acknowledge. */
  get epoch(): string {
    return this.#head.epoch;
  }

  /** Whether it can serve another one of a log that ends at a place. */
  takes({ epoch, offset }: Cursor): boolean {
    return !this.#isOver && epoch === this.#head.epoch && offset === this.#head.offset;
  }

  /** Serves another one, which has all up to an offset. */
  add(subscriber: Subscriber, offset: number): void {
    if (offset === this.#head.offset) this.#fanOut.add(subscriber);
    else this.#replay.add(subscriber, offset);
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
      if (this.#fanOut.size === 0 && this.#replay.isIdle) {
        this.#isOver = true;
        return;
      }
      await turn(ready.length === 0 ? LOOK_MS : 0);
    }
  }
}
