/** Compares every byte of every message with what was sent, in the order it was sent. */
import { type MessageFormat, unitTemplate, writeSequence } from "./message-format.ts";

export class UnitChecker {
  /** The first difference found, in words. */
  fault: string | undefined;
  readonly #expected: Uint8Array;
  readonly #digitsAt: number;
  #index = 0;

  constructor(format: MessageFormat) {
    this.#expected = unitTemplate(format);
    this.#digitsAt = format.prefix.length;
  }

  check(unit: Uint8Array): void {
    writeSequence(this.#expected, this.#digitsAt, this.#index);
    if (this.fault === undefined && Buffer.compare(unit, this.#expected) !== 0) {
      const arrived = Buffer.from(unit.subarray(0, 48)).toString("latin1");
      this.fault = `message ${this.#index} arrived as ${JSON.stringify(arrived)}`;
    }
    this.#index += 1;
  }
}
