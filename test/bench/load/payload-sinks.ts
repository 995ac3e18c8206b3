/**
 * What a subscriber does with payload that is nothing but units, one after the other: count them, or
 * assemble each.
 *
 * Counting is for everyone; assembling costs more, so throughput runs look into the messages of a
 * sample of the subscribers and count the rest.
 */
import type { PayloadSink } from "./frame-reader.ts";
import type { MessageFormat } from "./message-format.ts";

/** Takes a whole unit, in a buffer that is reused afterwards. */
export type OnUnit = (unit: Uint8Array) => void;

/** Counts messages by payload bytes. */
export class CountingSink implements PayloadSink {
  readonly #unitBytes: number;
  #bytes = 0;

  constructor(format: MessageFormat) {
    this.#unitBytes = format.unitBytes;
  }

  get messages(): number {
    // Only whole messages: the last one may still be on its way.
    return Math.floor(this.#bytes / this.#unitBytes);
  }

  write(_chunk: Uint8Array, start: number, end: number): void {
    this.#bytes += end - start;
  }
}

/** Assembles units and hands each on. */
export class UnitSink implements PayloadSink {
  messages = 0;
  readonly #unit: Uint8Array;
  readonly #onUnit: OnUnit;
  #filled = 0;

  constructor(format: MessageFormat, onUnit: OnUnit) {
    this.#unit = new Uint8Array(format.unitBytes);
    this.#onUnit = onUnit;
  }

  write(chunk: Uint8Array, start: number, end: number): void {
    let at = start;
    while (at < end) {
      const stop = Math.min(end, at + this.#unit.length - this.#filled);
      this.#unit.set(chunk.subarray(at, stop), this.#filled);
      this.#filled += stop - at;
      at = stop;
      if (this.#filled < this.#unit.length) return;
      this.#filled = 0;
      this.#onUnit(this.#unit);
      this.messages += 1;
    }
  }
}

/** Throws away all it gets: what a server sends to a publisher is read so that it does not pile up. */
export class IgnoringSink implements PayloadSink {
  readonly messages = 0;

  write(): void {
    // Nothing in it matters.
  }
}

/** Throws away the first bytes (answers to a greeting), hands the rest on; ready once they have come. */
export class SkippingSink implements PayloadSink {
  readonly #sink: PayloadSink;
  #left: number;

  constructor(sink: PayloadSink, bytes: number) {
    this.#sink = sink;
    this.#left = bytes;
  }

  get messages(): number {
    return this.#sink.messages;
  }

  get isReady(): boolean {
    return this.#left === 0;
  }

  write(chunk: Uint8Array, start: number, end: number): void {
    const skipped = Math.min(this.#left, end - start);
    this.#left -= skipped;
    if (start + skipped < end) this.#sink.write(chunk, start + skipped, end);
  }
}
