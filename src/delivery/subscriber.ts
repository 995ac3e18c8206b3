/**
 * One subscriber's socket: what is sent to it in its own protocol, and how far it is behind.
 */
import { formatCursor, type Cursor } from "../core/cursor.ts";
import { END_FRAME, formatGap, formatOpen } from "../core/hub-frame.ts";
import type { Protocol } from "../core/stream.ts";
import type { Batch } from "./batch.ts";
import { FrameAllowance } from "./frame-allowance.ts";
import { sendFrame, sendFrames } from "./send-frame.ts";

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
  /** The last offset that it has acknowledged, `null` until it does. */
  #acknowledged: number | null = null;

  constructor(kept: SubscriberSocket) {
    this.#kept = kept;
    // Its own: they are read for every batch.
    this.socket = kept.socket;
    this.protocol = kept.protocol;
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
  end(): void {
    this.#tell(END_FRAME);
  }

  /** Sends a batch: frames of the stream, or the bare messages. */
  send(batch: Batch): void {
    if (this.protocol === "raw") {
      sendFrames(this.socket, batch.messages);
      return;
    }
    const { epoch } = batch.place;
    for (const { text, bytes, last } of batch.frames) {
      sendFrame(this.socket, text);
      this.allowance.earn(bytes);
      if (this.#unacknowledged === null) continue;
      // A frame's own cursor: it may be acknowledged before the rest of its batch.
      this.#unacknowledged.push({ epoch, offset: last, bytes });
      this.#unacknowledgedBytes += bytes;
    }
  }

  /** Takes its word for what it has received; from the first time on what it has not counts. */
  acknowledge({ epoch, offset }: Cursor): void {
    this.#acknowledged = offset;
    const rest = (this.#unacknowledged ??= []);
    // What it was sent of an epoch before, it has as well.
    const kept = rest.findIndex((sent) => sent.epoch === epoch && sent.offset > offset);
    for (const { bytes } of rest.splice(0, kept < 0 ? rest.length : kept)) {
      this.#unacknowledgedBytes -= bytes;
    }
  }

  /** The last offset that it says it has, `null` where it has said nothing since the object woke. */
  get acknowledged(): number | null {
    return this.#acknowledged;
  }

  /** What it has not read, or not acknowledged where it does, in bytes, as far as can be known. */
  get backlog(): number {
    // Runtimes before 1.20261117 lack it, and then it is undefined whatever the types say.
    const { bufferedAmount } = this.socket;
    const buffered = typeof bufferedAmount === "number" ? bufferedAmount : 0;
    return Math.max(buffered, this.#unacknowledgedBytes);
  }

  #tell(frame: string): void {
    if (this.protocol === "stream") sendFrame(this.socket, frame);
  }
}
