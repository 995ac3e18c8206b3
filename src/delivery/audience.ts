/**
 * A node's subscribers: from the handshake through the replay of the past to the fan-out of the present, and
 * what they say of how far they are. Knows nothing of phases, publishers or keys.
 * Invariant: a subscriber is expected, in the replay or in the fan-out, never in two of them.
 */
import { reached } from "../core/coverage-mark.ts";
import { byteLengthOf } from "../core/byte-size.ts";
import { parseSubscriberAck } from "../core/client-frame.ts";
import { HISTORY_GAP, INVALID_FRAME, TOO_MANY_REQUESTS } from "../core/close-code.ts";
import type { Cursor } from "../core/cursor.ts";
import type { EndReason } from "../core/end-reason.ts";
import { formatError } from "../core/hub-frame.ts";
import type { Message } from "../core/message.ts";
import type { Problem } from "../core/problem.ts";
import type { Since } from "../core/since.ts";
import { Backlogs } from "./backlogs.ts";
import type { DeliveryNode } from "./delivery-node.ts";
import { Ending } from "./ending.ts";
import { FanOut } from "./fan-out.ts";
import { FRAMES_A_MINUTE } from "./frame-allowance.ts";
import type { LogView, ReplayedLog, Resumption } from "./log-view.ts";
import { Replay } from "./replay.ts";
import { sendFrame } from "./send-frame.ts";
import { Subscriber, type SubscriberSocket } from "./subscriber.ts";

const TOO_MANY_FRAMES: Problem = {
  slug: "too-many-requests",
  detail: `Expected an ack for 32 KiB of messages at most, or ${FRAMES_A_MINUTE} frames a minute`,
};

/** A log that is over, for those that come to read it. */
export interface OverLog {
  readonly log: ReplayedLog;
  readonly reason: EndReason;
  /** Bytes that may wait for each. */
  readonly maxBacklogBytes: number;
}

/** The audience of one node. */
export class Audience {
  readonly fanOut: FanOut;
  readonly #node: DeliveryNode;
  readonly #log: LogView;
  readonly #replay: Replay;
  readonly #backlogs: Backlogs;
  /** Those for whom there is nothing yet: they are heard, and given nothing. */
  readonly #expected: Map<WebSocket, Subscriber> = new Map();
  /** Those whose topic has ended, and who are still there. */
  readonly #endings: Set<Ending> = new Set();

  constructor(log: LogView, node: DeliveryNode) {
    this.#log = log;
    this.#node = node;
    const backlogs = (this.#backlogs = new Backlogs(node));
    this.fanOut = new FanOut(node, backlogs);
    this.#replay = new Replay(log, this.fanOut, node, backlogs);
  }

  /** How many there are. */
  get size(): number {
    return this.fanOut.size + this.#replay.size;
  }

  /** Its subscribers, those in replay first, each with the offset up to which it has all, as far as is known. */
  *places(): Generator<readonly [Subscriber, number | null]> {
    const { epoch } = this.#log.head;
    for (const { subscriber, offset } of this.#replay.places) {
      yield [subscriber, subscriber.acknowledgedIn(epoch) ?? offset];
    }
    for (const subscriber of this.fanOut.subscribers) {
      yield [subscriber, subscriber.acknowledgedIn(epoch)];
    }
  }

  /** Takes a socket that is to be accepted later; until then only what it sends counts. */
  expect(socket: SubscriberSocket): void {
    this.#expected.set(socket.socket, new Subscriber(socket));
  }

  /** Takes a socket that was admitted, and lets it begin where it asked to; `null`: with what comes now. */
  accept(socket: SubscriberSocket, since: Since | null): void {
    const subscriber = new Subscriber(socket);
    if (since === null) {
      subscriber.open(this.#log.head, null);
      this.fanOut.add(subscriber);
      return;
    }
    const resumption = this.#log.resume(since, Date.now());
    subscriber.open(resumption.gapFrom ?? resumption.cursor, resumption.gapFrom === null);
    this.#follow(subscriber, resumption);
  }

  /** Takes a socket back after a wake, with the log where it was; `behind`: up to where it has all, if not to the end. */
  adopt(socket: SubscriberSocket, behind: Cursor | null): void {
    const subscriber = new Subscriber(socket);
    if (behind === null) this.fanOut.add(subscriber);
    else this.#follow(subscriber, this.#log.resume({ type: "cursor", cursor: behind }, Date.now()));
  }

  /**
   * Takes a subscriber's word for where it is. A raw one's data is ignored, and what a dismissed socket still
   * sends is fenced out; too much of it closes either.
   */
  hear(socket: WebSocket, message: Message): void {
    const ending = this.#endings.values().find((each) => each.get(socket) !== undefined);
    const present = this.fanOut.get(socket) ?? this.#replay.get(socket);
    const subscriber = present ?? ending?.get(socket) ?? this.#expected.get(socket);
    if (subscriber === undefined) return;
    const isRaw = subscriber.protocol === "raw";
    if (!subscriber.allowance.take(isRaw ? byteLengthOf(message) : 0, Date.now())) {
      reached("frames-beyond-allowance");
      if (!isRaw) sendFrame(socket, formatError(null, TOO_MANY_FRAMES));
      this.#node.close(socket, TOO_MANY_REQUESTS);
      return;
    }
    if (isRaw) return;
    const ack = parseSubscriberAck(message);
    if (ack.ok) {
      const { epoch } = ending ?? this.#log.head;
      if (ack.value.epoch === epoch) subscriber.acknowledge(ack.value);
      else subscriber.acknowledgeBefore(ack.value);
      return;
    }
    const { id, detail } = ack.error;
    sendFrame(socket, formatError(id, { slug: "invalid-frame", detail }));
    this.#node.close(socket, INVALID_FRAME);
  }

  /** Whether anybody is given what is in the log. */
  get isReplaying(): boolean {
    return this.#replay.size > 0;
  }

  /**
   * Has everyone closed who is here, with all there is up to the end of a log that is over; settles when they are gone.
   * It is for newcomers at once.
   */
  async end(log: ReplayedLog, reason: EndReason): Promise<void> {
    // What the policy says may change with the next life.
    const maxBacklog = this.#node.maxBacklogBytes();
    const node = { ...this.#node, maxBacklogBytes: () => maxBacklog };
    const fanOut = this.fanOut.detach(node);
    const replay = this.#replay.detach(log, fanOut, node);
    await this.#serve(new Ending({ head: log.head, fanOut, replay }, node), reason);
  }

  /**
   * Takes a socket that comes to read a log that is over, which is the node's own as it is now: gives it what it asked
   * for, and has it closed. Settles when it has begun, or when all are gone that began with it. `isBack`: after a wake.
   */
  read(
    socket: SubscriberSocket,
    since: Since,
    over: OverLog,
    { isBack }: { readonly isBack: boolean },
  ): Promise<void> {
    const subscriber = new Subscriber(socket);
    const resumption = this.#log.resume(since, Date.now());
    const { cursor, gapFrom } = resumption;
    if (!isBack) subscriber.open(gapFrom ?? cursor, gapFrom === null);
    if (!this.#passGap(subscriber, resumption)) return Promise.resolve();
    const known = this.#endings.values().find((ending) => ending.takes(over.log.head));
    const ending = known ?? this.#endingOf(over);
    ending.add(subscriber, cursor.offset);
    if (known === undefined) return this.#serve(ending, over.reason);
    reached("reader-joins-ending");
    return Promise.resolve();
  }

  #endingOf({ log, maxBacklogBytes }: OverLog): Ending {
    const node = { ...this.#node, maxBacklogBytes: () => maxBacklogBytes };
    const fanOut = new FanOut(node, this.#backlogs);
    const replay = new Replay(log, fanOut, node, this.#backlogs);
    return new Ending({ head: log.head, fanOut, replay }, node);
  }

  async #serve(ending: Ending, reason: EndReason): Promise<void> {
    this.#endings.add(ending);
    await ending.run(reason);
    this.#endings.delete(ending);
  }

  /** Forgets a socket. */
  remove(socket: WebSocket): void {
    this.#expected.delete(socket);
    this.fanOut.remove(socket);
    this.#replay.remove(socket);
    for (const ending of this.#endings) ending.remove(socket);
  }

  /** Lets a subscriber go on from a place in the past; tells it of a gap. */
  #follow(subscriber: Subscriber, resumption: Resumption): void {
    if (!this.#passGap(subscriber, resumption)) return;
    const { cursor } = resumption;
    if (cursor.offset === this.#log.head.offset) {
      // It may have slept with all that there was, and not yet read.
      subscriber.goLive();
      this.fanOut.add(subscriber);
    } else this.#replay.add(subscriber, cursor.offset);
  }

  /** Tells a subscriber of a gap, if there is one; `false` when it asked to be closed then. */
  #passGap(subscriber: Subscriber, { cursor, gapFrom }: Resumption): boolean {
    if (gapFrom === null) return true;
    subscriber.gap(gapFrom, cursor);
    if (!subscriber.closesOnGap) return true;
    reached("gap-closes-newcomer");
    this.#node.close(subscriber.socket, HISTORY_GAP);
    return false;
  }
}
