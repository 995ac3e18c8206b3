/**
 * One subscriber's socket: what is sent to it in its own protocol, and how far it is behind.
 */
import { formatCursor, type Cursor } from "../core/cursor.ts";
import { END_FRAME, formatGap, formatOpen } from "../core/hub-frame.ts";
import type { Protocol } from "../core/stream.ts";
import type { Batch } from "./batch.ts";
import { FrameAllowance } from "./frame-allowance.ts";
import { sendFrame, sendFrames } from "./send-frame.ts";

/** What was sent to a subscriber that acknowledges, and not acknowledged. */
interface Unacknowledged {
  readonly offset: number;
  readonly units: number;
}

/** A subscriber. */
export class Subscriber {
  readonly socket: WebSocket;
  readonly protocol: Protocol;
  /** Whether a gap closes it. */
  readonly closesOnGap: boolean;
  /** What it may send. */
  readonly allowance: FrameAllowance = new FrameAllowance();
  /** `null` until it acknowledges for the first time. */
  #unacknowledged: Unacknowledged[] | null = null;
  #unacknowledgedUnits = 0;
  /** The last offset that it has acknowledged, `null` until it does. */
  #acknowledged: number | null = null;

  constructor(socket: WebSocket, protocol: Protocol, closesOnGap: boolean) {
    this.socket = socket;
    this.protocol = protocol;
    this.closesOnGap = closesOnGap;
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

  /** Sends a batch: one frame of the stream, or the bare messages. */
  send(batch: Batch): void {
    if (this.protocol === "raw") {
      sendFrames(this.socket, batch.messages);
      return;
    }
    sendFrame(this.socket, batch.frame);
    this.allowance.earn(batch.frame.length);
    if (this.#unacknowledged === null) return;
    const { units } = batch;
    this.#unacknowledged.push({ offset: batch.place.last, units });
    this.#unacknowledgedUnits += units;
  }

  /** Takes its word for what it has received; from the first time on what it has not counts. */
  acknowledge(offset: number): void {
    this.#acknowledged = offset;
    const rest = (this.#unacknowledged ??= []);
    const kept = rest.findIndex((sent) => sent.offset > offset);
    for (const { units } of rest.splice(0, kept < 0 ? rest.length : kept)) {
      this.#unacknowledgedUnits -= units;
    }
  }

  /** The last offset that it says it has, `null` where it has said nothing since the object woke. */
  get acknowledged(): number | null {
    return this.#acknowledged;
  }

  /** What it has not read, in bytes (UTF-16 units where it acknowledges), as far as can be known. */
  get backlog(): number {
    // Runtimes before 1.20261117 lack it, and then it is undefined whatever the types say.
    const { bufferedAmount } = this.socket;
    const buffered = typeof bufferedAmount === "number" ? bufferedAmount : 0;
    return Math.max(buffered, this.#unacknowledgedUnits);
  }

  #tell(frame: string): void {
    if (this.protocol === "stream") sendFrame(this.socket, frame);
  }
}
