/**
 * What the runtime holds for one socket: how much of what was sent it has not got rid of. The runtime tells of the
 * payload that waits, and of nothing else: neither of the heads of frames nor of how many frames there are, and it
 * tells whole messages. The rest follows from what was sent before. Knows no bounds.
 * Invariant: it says too much rather than too little, but for empty messages behind which nothing else was sent.
 */

/** What frames take, as they go over the wire. */
export interface WireSize {
  readonly frames: number;
  readonly payloadBytes: number;
  readonly headBytes: number;
}

/** What a frame that waits costs the runtime, whatever is in it (measured: 1,150 bytes). */
const FRAME_COST_BYTES = 1024;

const NOTHING: WireSize = { frames: 0, payloadBytes: 0, headBytes: 0 };

/** The head of a frame with so much in it (RFC 6455, section 5.2). */
export function headBytesOf(payloadBytes: number): number {
  if (payloadBytes < 126) return 2;
  return payloadBytes < 65_536 ? 4 : 10;
}

/** The queue of one socket. */
export class SendQueue {
  readonly #socket: WebSocket;
  /** Since all was last seen to be gone. */
  #frames = 0;
  #payloadBytes = 0;
  #headBytes = 0;
  /** Up to here all is gone. */
  #gone: WireSize = NOTHING;
  /** A place further on: what lies before it is not counted once it is seen to be gone. */
  #next: WireSize = NOTHING;
  #waitingPayloadBytes = 0;

  constructor(socket: WebSocket) {
    this.#socket = socket;
  }

  /** So much was sent. */
  add({ frames, payloadBytes, headBytes }: WireSize): void {
    this.#frames += frames;
    this.#payloadBytes += payloadBytes;
    this.#headBytes += headBytes;
    this.#waitingPayloadBytes += payloadBytes;
  }

  /** Looks at the socket; `false`: the runtime does not say (before 1.20261117, whatever its types say). */
  look(): boolean {
    const { bufferedAmount } = this.#socket;
    if (typeof bufferedAmount !== "number") {
      this.#restart();
      return false;
    }
    if (bufferedAmount === 0) this.#restart();
    else if (this.#payloadBytes - bufferedAmount >= this.#next.payloadBytes) {
      this.#gone = this.#next;
      this.#next = {
        frames: this.#frames,
        payloadBytes: this.#payloadBytes,
        headBytes: this.#headBytes,
      };
    }
    this.#waitingPayloadBytes = bufferedAmount;
    return true;
  }

  /** What waits, as it goes over the wire; as it was at the last look, and what was sent since. */
  get wireBytes(): number {
    return this.#waitingPayloadBytes + this.#headBytes - this.#gone.headBytes;
  }

  /** What that costs the runtime. */
  get heldBytes(): number {
    return this.#waitingPayloadBytes + (this.#frames - this.#gone.frames) * FRAME_COST_BYTES;
  }

  #restart(): void {
    this.#frames = 0;
    this.#payloadBytes = 0;
    this.#headBytes = 0;
    this.#gone = NOTHING;
    this.#next = NOTHING;
    this.#waitingPayloadBytes = 0;
  }
}
