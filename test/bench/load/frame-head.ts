/** The beginning of a frame's payload, up to and including a terminator, collected across chunks. */

/** Longer than any head; a frame without the terminator is kept up to here. */
const MOST_BYTES = 512;

export class FrameHead {
  length = 0;
  isComplete = false;
  readonly #bytes = new Uint8Array(MOST_BYTES);
  readonly #terminator: Uint8Array;

  constructor(terminator: string) {
    this.#terminator = Buffer.from(terminator);
  }

  reset(): void {
    this.length = 0;
    this.isComplete = false;
  }

  /** Takes bytes until the head is complete; returns where the reading goes on. */
  take(chunk: Uint8Array, start: number, end: number): number {
    const last = this.#terminator[this.#terminator.length - 1];
    let at = start;
    while (at < end) {
      const byte = chunk[at++] ?? 0;
      if (this.length < MOST_BYTES) this.#bytes[this.length++] = byte;
      if (byte === last && this.#endsWithTerminator()) {
        this.isComplete = true;
        break;
      }
    }
    return at;
  }

  text(): string {
    return Buffer.from(this.#bytes.subarray(0, this.length)).toString("utf8");
  }

  #endsWithTerminator(): boolean {
    const offset = this.length - this.#terminator.length;
    if (offset < 0) return false;
    for (let index = 0; index < this.#terminator.length; index++) {
      if (this.#bytes[offset + index] !== this.#terminator[index]) return false;
    }
    return true;
  }
}
