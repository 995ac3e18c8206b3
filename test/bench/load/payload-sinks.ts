/**
 * What a subscriber does with the payload it receives: count it, check it, or time it.
 *
 * Counting is for everyone; checking and timing assemble each unit and cost more, so throughput runs
 * check a sample of the subscribers and count the rest.
 */
import type { PayloadSink } from "./frame-reader.ts";
import { type MessageFormat, readSequence, unitTemplate, writeSequence } from "./message-format.ts";

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

/** Assembles units and hands each to `onUnit`; the base of checking and timing. */
class UnitSink implements PayloadSink {
  messages = 0;
  readonly #unit: Uint8Array;
  readonly #onUnit: (unit: Uint8Array, index: number) => void;
  #filled = 0;

  constructor(format: MessageFormat, onUnit: (unit: Uint8Array, index: number) => void) {
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
      this.#onUnit(this.#unit, this.messages);
      this.messages += 1;
    }
  }
}

/** Compares every byte of every message with what was sent, in the order it was sent. */
export class CheckingSink implements PayloadSink {
  /** The first difference found, in words. */
  fault: string | undefined;
  readonly #units: UnitSink;

  constructor(format: MessageFormat) {
    const expected = unitTemplate(format);
    const at = format.prefix.length;
    this.#units = new UnitSink(format, (unit, index) => {
      writeSequence(expected, at, index);
      if (this.fault !== undefined || Buffer.compare(unit, expected) === 0) return;
      this.fault = `message ${index} arrived as ${JSON.stringify(text(unit))}`;
    });
  }

  get messages(): number {
    return this.#units.messages;
  }

  write(chunk: Uint8Array, start: number, end: number): void {
    this.#units.write(chunk, start, end);
  }
}

/** Reports the sequence number of each message as it arrives. */
export class TimingSink implements PayloadSink {
  readonly #units: UnitSink;

  constructor(format: MessageFormat, onMessage: (sequence: number) => void) {
    this.#units = new UnitSink(format, (unit) => {
      onMessage(readSequence(unit, format.prefix.length));
    });
  }

  get messages(): number {
    return this.#units.messages;
  }

  write(chunk: Uint8Array, start: number, end: number): void {
    this.#units.write(chunk, start, end);
  }
}

/** Throws away the first bytes (a dialect's answers to its greeting), hands the rest on. */
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

  get isDone(): boolean {
    return this.#left === 0;
  }

  write(chunk: Uint8Array, start: number, end: number): void {
    const skipped = Math.min(this.#left, end - start);
    this.#left -= skipped;
    if (start + skipped < end) this.#sink.write(chunk, start + skipped, end);
  }
}

function text(unit: Uint8Array): string {
  return Buffer.from(unit.subarray(0, 48)).toString("latin1");
}
