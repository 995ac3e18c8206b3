/**
 * A topic's subscribers: from the handshake through the replay of the past to the fan-out of the present, and
 * what they say of how far they are. Knows nothing of phases, publishers or keys.
 * Invariant: a subscriber is in the replay or in the fan-out, never in both.
 */
import type { SubscriberAdmission } from "../core/admission.ts";
import {
  HISTORY_GAP,
  INVALID_FRAME,
  SLOW_CONSUMER,
  TOO_MANY_REQUESTS,
  type Close,
} from "../core/close-code.ts";
import { formatCursor, parseCursor, type Cursor } from "../core/cursor.ts";
import type { Grant } from "../core/grant.ts";
import type { Message } from "../core/message.ts";
import type { Problem } from "../core/problem.ts";
import { parseSince } from "../core/since.ts";
import { formatError, parseCredit } from "../core/stream.ts";
import { protocolOf } from "../core/subprotocol.ts";
import { logError } from "../log.ts";
import { readAttachment, writeAttachment, type SubscriberAttachment } from "./attachment.ts";
import { FanOut } from "../delivery/fan-out.ts";
import { FRAMES_A_MINUTE } from "../delivery/frame-allowance.ts";
import type { Log } from "./log.ts";
import type { Resumption } from "../delivery/log-view.ts";
import { Replay } from "../delivery/replay.ts";
import { sendFrame } from "../delivery/send-frame.ts";
import { Subscriber } from "../delivery/subscriber.ts";

const TOO_MANY_FRAMES: Problem = {
  slug: "too-many-requests",
  detail: `Expected an ack for 32 KiB of messages at most, or ${FRAMES_A_MINUTE} frames a minute`,
};

/** What an audience needs of its topic. */
export interface AudienceTopic {
  /** Bytes that may wait for a subscriber. */
  maxBacklogBytes(): number;
  /** A subscriber must go; it is in the audience no more. */
  dismiss(socket: WebSocket, close: Close): void;
  /** Nobody is behind any more. */
  onIdle(): void;
  /** Something is wrong that nobody has foreseen. */
  onFailure(error: unknown): void;
}

/** The audience of one topic. */
export class Audience {
  readonly fanOut: FanOut;
  readonly #topic: AudienceTopic;
  readonly #log: Log;
  readonly #replay: Replay;

  constructor(log: Log, topic: AudienceTopic) {
    this.#log = log;
    this.#topic = topic;
    this.fanOut = new FanOut({
      maxBacklogBytes: () => topic.maxBacklogBytes(),
      onSlow: (subscriber) => this.dismiss(subscriber.socket, SLOW_CONSUMER),
    });
    this.#replay = new Replay(log, {
      maxBacklogBytes: () => topic.maxBacklogBytes(),
      onProgress: (subscriber, offset) => {
        rememberPlace(subscriber, { ...this.#log.head, offset });
      },
      onCurrent: (subscriber) => {
        rememberPlace(subscriber, null);
        this.fanOut.add(subscriber);
      },
      onGap: (subscriber) => this.dismiss(subscriber.socket, HISTORY_GAP),
      onUnreadable: (messages) => logError({ event: "log-unreadable", messages }),
      onSlow: (subscriber) => this.dismiss(subscriber.socket, SLOW_CONSUMER),
      onIdle: () => topic.onIdle(),
      onFailure: (error) => topic.onFailure(error),
    });
  }

  /** How many there are. */
  get size(): number {
    return this.fanOut.size + this.#replay.size;
  }

  /** Those that are in it. */
  get sockets(): WebSocket[] {
    return [...this.fanOut.sockets, ...this.#replay.sockets];
  }

  /** Its subscribers, those in replay first, each with the offset up to which it has all, as far as is known. */
  *places(): Generator<readonly [Subscriber, number | null]> {
    for (const { subscriber, offset } of this.#replay.places) {
      yield [subscriber, subscriber.acknowledged ?? offset];
    }
    for (const subscriber of this.fanOut.subscribers) yield [subscriber, subscriber.acknowledged];
  }

  /** Takes a socket that was admitted, and lets it begin where it asked to. */
  accept(
    socket: WebSocket,
    { subprotocol, since, gap, grant, country }: SubscriberAdmission,
  ): void {
    const protocol = protocolOf(subprotocol);
    const subscriber = new Subscriber(socket, protocol, gap === "close");
    writeAttachment(socket, {
      v: 1,
      role: "subscriber",
      protocol,
      gap,
      behind: null,
      grant,
      connectedAtMs: Date.now(),
      ...(country !== undefined && { country }),
    });
    if (since === null) {
      subscriber.open(this.#log.head, null);
      this.fanOut.add(subscriber);
      return;
    }
    const parsed = parseSince(since);
    // The edge has checked it.
    if (!parsed.ok) throw new Error(parsed.error);
    const resumption = this.#log.resume(parsed.value, Date.now());
    subscriber.open(resumption.gapFrom ?? resumption.cursor, resumption.gapFrom === null);
    this.#follow(subscriber, resumption);
  }

  /** Takes a socket back after a wake, with the log where it was. */
  adopt(socket: WebSocket, { protocol, gap, behind }: SubscriberAttachment): void {
    const subscriber = new Subscriber(socket, protocol, gap === "close");
    const cursor = behind === null ? null : parseCursor(behind);
    if (cursor === null) this.fanOut.add(subscriber);
    else this.#follow(subscriber, this.#log.resume({ type: "cursor", cursor }, Date.now()));
  }

  /**
   * Takes a subscriber's word for where it is. A raw one's data is ignored, and what a dismissed socket still
   * sends is fenced out; too much of it closes either.
   */
  hear(socket: WebSocket, message: Message): void {
    const subscriber = this.#find(socket);
    if (subscriber === undefined) return;
    const isRaw = subscriber.protocol === "raw";
    const units = typeof message === "string" ? message.length : message.byteLength;
    if (!subscriber.allowance.take(isRaw ? units : 0, Date.now())) {
      if (!isRaw) sendFrame(socket, formatError(null, TOO_MANY_FRAMES));
      this.dismiss(socket, TOO_MANY_REQUESTS);
      return;
    }
    if (isRaw) return;
    const credit = parseCredit(message);
    if (credit.ok) {
      const { epoch } = this.#log.head;
      if (credit.value.epoch === epoch) subscriber.acknowledge(credit.value.offset);
      return;
    }
    const { id, detail } = credit.error;
    sendFrame(socket, formatError(id, { slug: "invalid-frame", detail }));
    this.dismiss(socket, INVALID_FRAME);
  }

  /** Gives everyone all there is, and says goodbye; they are in the audience no more. */
  end(close: Close): void {
    this.fanOut.drain();
    this.#replay.drain();
    for (const subscriber of this.fanOut.release()) {
      subscriber.end();
      this.#topic.dismiss(subscriber.socket, close);
    }
  }

  /** Makes another grant part of a subscriber's socket. */
  regrant(socket: WebSocket, grant: Grant): void {
    const attachment = readAttachment(socket);
    if (attachment?.role === "subscriber") writeAttachment(socket, { ...attachment, grant });
  }

  /** Closes all subscribers of which something is true. */
  dismissIf(isConcerned: (socket: WebSocket) => boolean, close: Close): void {
    for (const socket of this.sockets) {
      if (isConcerned(socket)) this.dismiss(socket, close);
    }
  }

  /** Closes a subscriber. */
  dismiss(socket: WebSocket, close: Close): void {
    this.remove(socket);
    this.#topic.dismiss(socket, close);
  }

  /** Forgets a socket; whether it was here. */
  remove(socket: WebSocket): boolean {
    const isHere = this.#find(socket) !== undefined;
    this.fanOut.remove(socket);
    this.#replay.remove(socket);
    return isHere;
  }

  #find(socket: WebSocket): Subscriber | undefined {
    return this.fanOut.get(socket) ?? this.#replay.get(socket);
  }

  /** Lets a subscriber go on from a place in the past; tells it of a gap. */
  #follow(subscriber: Subscriber, { cursor, gapFrom }: Resumption): void {
    if (gapFrom !== null) {
      subscriber.gap(gapFrom, cursor);
      if (subscriber.closesOnGap) {
        this.dismiss(subscriber.socket, HISTORY_GAP);
        return;
      }
    }
    if (cursor.offset === this.#log.head.offset) this.fanOut.add(subscriber);
    else this.#replay.add(subscriber, cursor.offset);
  }
}

/** Makes how far a subscriber has got while it is behind part of its socket. */
function rememberPlace({ socket }: Subscriber, behind: Cursor | null): void {
  const attachment = readAttachment(socket);
  if (attachment?.role !== "subscriber") return;
  writeAttachment(socket, {
    ...attachment,
    behind: behind === null ? null : formatCursor(behind),
  });
}
