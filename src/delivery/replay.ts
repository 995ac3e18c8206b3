/**
 * Replay: brings subscribers that asked for the past up to the present, batch by batch out of the log,
 * and hands each over to the fan-out in the very moment in which it lacks nothing, so that there is
 * neither hole nor repeat. Nobody is filled faster than they read, and all together hold no more than their share of
 * the memory.
 * Invariant: what lies behind the last of those it serves is kept, from the moment in which that one comes.
 */
import { HISTORY_GAP, SLOW_CONSUMER } from "../core/close-code.ts";
import type { Cursor } from "../core/cursor.ts";
import type { Backlogs } from "./backlogs.ts";
import type { DeliveryNode } from "./delivery-node.ts";
import type { FanOut } from "./fan-out.ts";
import { reached } from "../core/coverage-mark.ts";
import type { ReplayedLog } from "./log-view.ts";
import { Progress } from "./progress.ts";
import type { Subscriber } from "./subscriber.ts";
import { turn } from "./turn.ts";

/** Bytes that may wait for a subscriber before it is given more. */
const FILL_BYTES = 256 * 1024;
/** Bytes that the runtime may hold for all who are replayed to; twice as many, and a little, it may for a topic. */
const SHARE_BYTES = 24 * 1024 * 1024;
/** Where it holds as much for the topic, nobody goes on with what comes now for whom it holds more than this. */
const LEFTOVER_BYTES = 16 * 1024;
/** How often one that is full is looked at. */
const LOOK_MS = 10;
/** Subscribers that are given a batch before the loop turns. */
const SLICE = 24;

interface Behind {
  readonly subscriber: Subscriber;
  /** Up to here it was given everything. */
  epoch: string;
  offset: number;
  /** How it takes what it was given. */
  readonly progress: Progress;
}

/** The replay of one node. */
export class Replay {
  readonly #node: DeliveryNode;
  readonly #log: ReplayedLog;
  /** Serves whoever has all that is in the log. */
  readonly #fanOut: FanOut;
  readonly #backlogs: Backlogs;
  readonly #behind: Map<WebSocket, Behind> = new Map();
  #isPumping = false;
  /** The offset behind which the log keeps what there is. */
  #kept = Infinity;
  /** What the runtime holds for all whom it serves, as far as is known. */
  #heldBytes = 0;

  constructor(log: ReplayedLog, fanOut: FanOut, node: DeliveryNode, backlogs: Backlogs) {
    this.#log = log;
    this.#fanOut = fanOut;
    this.#backlogs = backlogs;
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
    const { epoch } = this.#log.head;
    const progress = new Progress();
    progress.restart(subscriber.pendingBytes, Date.now());
    const behind = { subscriber, epoch, offset, progress };
    this.#behind.set(subscriber.socket, behind);
    this.#backlogs.join(subscriber);
    // At once: it was told that it will have everything.
    if (offset < this.#kept) this.#keep(offset);
    this.#rememberPlace(behind);
    // The beginning likewise: where there are no rows it might be gone by the next turn of the loop.
    if (this.#hasRoom) this.#feed(behind);
    this.#start();
  }

  /** Stops serving a socket; no-op for one it does not serve. */
  remove(socket: WebSocket): void {
    const behind = this.#behind.get(socket);
    if (behind === undefined) return;
    this.#behind.delete(socket);
    this.#backlogs.forget(behind.subscriber);
  }

  /** Hands over all whom it serves, to be brought up to the end of a log; goes on with nobody. */
  detach(log: ReplayedLog, fanOut: FanOut, node: DeliveryNode): Replay {
    const detached = new Replay(log, fanOut, node, this.#backlogs);
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
        const behind = [...this.#behind.values()];
        this.#keep(Math.min(...behind.map(({ offset }) => offset)));
        this.#look(behind);
        if (this.#backlogs.isOver) await this.#backlogs.makeRoom();
        let served = 0;
        for (const each of behind) {
          if (!this.#visit(each)) continue;
          served += 1;
          if (served % SLICE === 0) await turn(0);
        }
        await turn(served === 0 ? LOOK_MS : 0);
      }
    } finally {
      this.#isPumping = false;
      this.#keep(Infinity);
    }
    this.#node.onIdle();
  }

  /** Gives one its next batch, if it has room and it is its turn; whether that, or its close, took time. */
  #visit(behind: Behind): boolean {
    const { subscriber, progress } = behind;
    const { socket } = subscriber;
    // It may have left since the pass began.
    if (this.#behind.get(socket) !== behind) return false;
    const isCurrent = this.#isCurrent(behind);
    if (isCurrent && this.#mayGoLive(subscriber)) {
      this.#goLive(behind);
      return false;
    }
    if (isCurrent || this.#isFull(subscriber)) {
      if (progress.isStalled(subscriber.pendingBytes, Date.now())) {
        reached("replay-stalled");
        this.#node.close(socket, SLOW_CONSUMER);
        return true;
      }
      return false;
    }
    if (!this.#hasRoom) {
      reached("replay-waits-for-room");
      return false;
    }
    this.#feed(behind);
    if (!this.#behind.has(socket)) return true;
    // To the end: those that wait for room come before it.
    this.#behind.delete(socket);
    this.#behind.set(socket, behind);
    return true;
  }

  /** Learns what the runtime holds: for all whom it serves, and for the others where that may be much. */
  #look(behind: readonly Behind[]): void {
    this.#heldBytes = 0;
    for (const { subscriber } of behind) {
      subscriber.look();
      this.#heldBytes += subscriber.heldBytes;
    }
    if (this.#backlogs.bytes >= SHARE_BYTES) this.#backlogs.look();
  }

  get #hasRoom(): boolean {
    return this.#heldBytes < SHARE_BYTES && !this.#backlogs.isOver;
  }

  #isCurrent({ epoch, offset }: Behind): boolean {
    const { head } = this.#log;
    return epoch === head.epoch && offset >= head.offset;
  }

  /** One that goes on with what comes now is closed when it is over the bound: it gets the time that a replay gives. */
  #mayGoLive(subscriber: Subscriber): boolean {
    if (subscriber.isFull(this.#node.maxBacklogBytes())) return false;
    return this.#backlogs.bytes < SHARE_BYTES || subscriber.heldBytes <= LEFTOVER_BYTES;
  }

  #goLive({ subscriber }: Behind): void {
    this.#behind.delete(subscriber.socket);
    subscriber.goLive();
    this.#fanOut.add(subscriber);
  }

  #keep(offset: number): void {
    this.#kept = offset;
    this.#log.keepBehind(offset, this);
  }

  #isFull(subscriber: Subscriber): boolean {
    return subscriber.isFull(Math.min(FILL_BYTES, this.#node.maxBacklogBytes() / 2));
  }

  /** Gives a subscriber its next batch; one that then has all is current. */
  #feed(behind: Behind): void {
    const { subscriber, progress } = behind;
    const { gone, head } = this.#log;
    if (behind.epoch !== head.epoch) {
      reached("replay-of-another-epoch");
      if (!this.#skip(behind, { epoch: head.epoch, offset: gone })) return;
    }
    // Not what is over the bound by now: it was not when the subscriber joined.
    if (behind.offset < gone) {
      reached("replay-overtaken");
      if (!this.#skip(behind, { ...head, offset: gone })) return;
    }
    const batch = this.#log.read(behind.offset);
    if (typeof batch === "number") {
      reached("replay-unreadable");
      // This reader's loss alone: the others have what is published now.
      this.#node.onUnreadable(batch - behind.offset);
      if (!this.#skip(behind, { ...head, offset: batch })) return;
    } else if (batch !== null) {
      this.#heldBytes -= subscriber.heldBytes;
      subscriber.send(batch);
      this.#heldBytes += subscriber.heldBytes;
      this.#backlogs.count(subscriber);
      behind.offset = batch.place.last;
    }
    progress.restart(subscriber.pendingBytes, Date.now());
    if (!this.#isCurrent(behind)) this.#rememberPlace(behind);
    else if (this.#mayGoLive(subscriber)) this.#goLive(behind);
    else {
      reached("current-and-behind");
      this.#rememberPlace(behind);
    }
  }

  #rememberPlace({ subscriber, epoch, offset }: Behind): void {
    subscriber.rememberPlace({ epoch, offset });
  }

  /** Tells a subscriber of a gap up to a place; `false` when it asked to be closed then. */
  #skip(behind: Behind, to: Cursor): boolean {
    const { subscriber, epoch, offset } = behind;
    if (subscriber.closesOnGap) {
      reached("replay-ended-by-gap");
      this.#node.close(subscriber.socket, HISTORY_GAP);
      return false;
    }
    subscriber.gap({ epoch, offset }, to);
    behind.epoch = to.epoch;
    behind.offset = to.offset;
    return true;
  }
}
