/** The beginning of a frame's payload, up to and including a terminator, collected across chunks. */

/** Longer than a head whose messages have one time; a longer one, or a frame without the terminator, is kept up to here. */
const MOST_BYTES = 512;

export class FrameHead {
  length = 0;
  isComplete = false;
  readonly #bytes = new Uint8Array(MOST_BYTES);
  readonly #terminator: Uint8Array;
  /** How much of the terminator the last bytes are. */
  #matched = 0;

  constructor(terminator: string) {
    this.#terminator = Buffer.from(terminator);
  }

  reset(): void {
    this.length = 0;
    this.isComplete = false;
    this.#matched = 0;
  }

  /** Takes bytes until the head is complete; returns where the reading goes on. */
  take(chunk: Uint8Array, start: number, end: number): number {
    let at = start;
    while (at < end) {
      const byte = chunk[at++] ?? 0;
      if (this.length < MOST_BYTES) this.#bytes[this.length] = byte;
      this.length += 1;
      const isNext = byte === this.#terminator[this.#matched];
      // Nothing but its first byte occurs in it again where the rest could follow.
      this.#matched = isNext ? this.#matched + 1 : Number(byte === this.#terminator[0]);
      if (this.#matched === this.#terminator.length) {
        this.isComplete = true;
        break;
      }
    }
    return at;
  }

  text(): string {
    return Buffer.from(this.#bytes.subarray(0, Math.min(this.length, MOST_BYTES))).toString("utf8");
  }
}
