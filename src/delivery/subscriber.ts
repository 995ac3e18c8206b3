/**
 * One subscriber's socket: what is sent to it in its own protocol, and how far it is behind.
 */
import { byteLengthOf } from "../core/byte-size.ts";
import { reached } from "../core/coverage-mark.ts";
import { formatCursor, type Cursor } from "../core/cursor.ts";
import type { EndReason } from "../core/end-reason.ts";
import { formatEnd, formatGap, formatOpen } from "../core/hub-frame.ts";
import type { Protocol } from "../core/stream.ts";
import type { Batch } from "./batch.ts";
import { FrameAllowance } from "./frame-allowance.ts";
import { sendFrame, sendFrames } from "./send-frame.ts";
import { headBytesOf, SendQueue } from "./send-queue.ts";

/**
 * What a subscriber that is replayed to may leave unacknowledged, whatever the bound: it acknowledges each 256 KiB or
 * so (PROTOCOL.md, 11.3), counts them in its own way, and if this were less both would wait for each other.
 */
const REPLAY_CREDIT_BYTES = 512 * 1024;

/** A subscriber's socket, as its node keeps it. */
export interface SubscriberSocket {
  readonly socket: WebSocket;
  readonly protocol: Protocol;
  /** Whether a gap closes it. */
  readonly closesOnGap: boolean;
  /** Lets outlive hibernation up to where it was given everything; `null`: it is not behind. */
  rememberPlace(behind: Cursor | null): void;
}

/** What was sent to a subscriber that acknowledges, and not acknowledged. */
interface Unacknowledged {
  readonly epoch: string;
  readonly offset: number;
  readonly bytes: number;
}

/** A subscriber. */
export class Subscriber {
  readonly socket: WebSocket;
  readonly protocol: Protocol;
  /** What it may send. */
  readonly allowance: FrameAllowance = new FrameAllowance();
  readonly #kept: SubscriberSocket;
  /** `null` until it acknowledges for the first time. */
  #unacknowledged: Unacknowledged[] | null = null;
  #unacknowledgedBytes = 0;
  /** What of it does not count, since it was sent in a replay. */
  #excusedBytes = 0;
  readonly #queue: SendQueue;
  /** Whether the runtime tells what it holds, as far as was looked. */
  #isQueueKnown = true;
  /** What it has acknowledged last, `null` until it does. */
  #acknowledged: Cursor | null = null;

  constructor(kept: SubscriberSocket) {
    this.#kept = kept;
    // Its own: they are read for every batch.
    this.socket = kept.socket;
    this.protocol = kept.protocol;
    this.#queue = new SendQueue(kept.socket);
  }

  /** Whether a gap closes it. */
  get closesOnGap(): boolean {
    return this.#kept.closesOnGap;
  }

  /** Lets outlive hibernation up to where it was given everything; `null`: it is not behind. */
  rememberPlace(behind: Cursor | null): void {
    this.#kept.rememberPlace(behind);
  }

  /** Says where it begins; a raw one is told nothing. */
  open(cursor: Cursor, recovered: boolean | null): void {
    this.#tell(formatOpen(formatCursor(cursor), recovered));
  }

  /** Says what it misses; a raw one is told nothing. */
  gap(from: Cursor, to: Cursor): void {
    this.#tell(formatGap(formatCursor(from), formatCursor(to)));
  }

  /** Says that the topic has ended; a raw one is told by its close. */
  end(reason: EndReason): void {
    this.#tell(formatEnd(reason));
  }

  /** Sends a batch: frames of the stream, or the bare messages; says how many bytes. */
  send(batch: Batch): number {
    if (this.protocol === "raw") {
      sendFrames(this.socket, batch.messages);
      this.#queue.add(batch.rawSize);
      return batch.rawSize.payloadBytes;
    }
    const { epoch } = batch.place;
    let sent = 0;
    for (const { text, bytes, last } of batch.frames) {
      this.#send(text, bytes);
      this.allowance.earn(bytes);
      sent += bytes;
      if (this.#unacknowledged === null) continue;
      // A frame's own cursor: it may be acknowledged before the rest of its batch.
      this.#unacknowledged.push({ epoch, offset: last, bytes });
      this.#unacknowledgedBytes += bytes;
    }
    return sent;
  }

  /** Takes its word for what it has received; from the first time on what it has not counts. */
  acknowledge(cursor: Cursor): void {
    const { epoch, offset } = cursor;
    this.#acknowledged = cursor;
    const rest = (this.#unacknowledged ??= []);
    // What it was sent of an epoch before, it has as well.
    const kept = rest.findIndex((sent) => sent.epoch === epoch && sent.offset > offset);
    this.#release(rest, kept < 0 ? rest.length : kept);
  }

  /** The same of another epoch than the one that goes on, as far as it was sent anything of that. */
  acknowledgeBefore({ epoch, offset }: Cursor): void {
    const rest = this.#unacknowledged ?? [];
    const last = rest.findLastIndex((sent) => sent.epoch === epoch && sent.offset <= offset);
    if (last < 0) reached("ack-of-another-epoch");
    this.#release(rest, last + 1);
  }

  /** The last offset that it says it has of an epoch, `null` where it has said nothing since the object woke. */
  acknowledgedIn(epoch: string): number | null {
    return this.#acknowledged?.epoch === epoch ? this.#acknowledged.offset : null;
  }

  /** Looks at its socket; what is said of its size is as it was then, and as it was added to since. */
  look(): void {
    this.#isQueueKnown = this.#queue.look();
  }

  /** What it has not read, or not acknowledged where it does, in bytes, as far as can be known. */
  get backlog(): number {
    this.look();
    return Math.max(this.#queueBytes, this.#unacknowledgedBytes);
  }

  /** Both, so that it shrinks whichever of the two does. */
  get pendingBytes(): number {
    return this.#queueBytes + this.#unacknowledgedBytes;
  }

  /** What the runtime holds for it. Where that does not say: what may still be there. */
  get heldBytes(): number {
    return this.#isQueueKnown ? this.#queue.heldBytes : this.#unacknowledgedBytes;
  }

  /** Whether its connection has ended, and with it what was held for it. */
  get isGone(): boolean {
    return this.socket.readyState === WebSocket.CLOSED;
  }

  /** Whether more waits for it than may. */
  isOver(maxBacklogBytes: number): boolean {
    this.look();
    const owed = this.#unacknowledgedBytes - this.#excusedBytes;
    return this.#queueBytes > maxBacklogBytes || owed > maxBacklogBytes;
  }

  /** Whether it is given no more of the past, with so much in its queue. */
  isFull(fillBytes: number): boolean {
    this.look();
    return this.#queueBytes > fillBytes || this.#unacknowledgedBytes > REPLAY_CREDIT_BYTES;
  }

  /** It has the past: what it was sent of it is not held against it, acknowledged or not. */
  goLive(): void {
    this.#excusedBytes = this.#unacknowledgedBytes;
    this.rememberPlace(null);
  }

  #release(sent: Unacknowledged[], count: number): void {
    for (const { bytes } of sent.splice(0, count)) {
      this.#unacknowledgedBytes -= bytes;
      this.#excusedBytes = Math.max(0, this.#excusedBytes - bytes);
    }
  }

  get #queueBytes(): number {
    return this.#isQueueKnown ? this.#queue.wireBytes : 0;
  }

  #send(frame: string, bytes: number): void {
    sendFrame(this.socket, frame);
    this.#queue.add({ frames: 1, payloadBytes: bytes, headBytes: headBytesOf(bytes) });
  }

  #tell(frame: string): void {
    if (this.protocol === "stream") this.#send(frame, byteLengthOf(frame));
  }
}
