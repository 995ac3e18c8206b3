/**
 * What a subscriber of nchan's subprotocol `ws+meta.nchan` does with its frames: a line with the
 * message's id, other lines of that kind, an empty line, the message.
 */
import { FrameHead } from "./frame-head.ts";
import type { PayloadSink } from "./frame-reader.ts";
import type { MessageFormat } from "./message-format.ts";
import { type OnUnit, UnitSink } from "./payload-sinks.ts";

const EMPTY_LINE = "\n\n";

export class NchanMetaSink implements PayloadSink {
  messages = 0;
  fault: string | undefined;
  readonly #unitBytes: number;
  readonly #units: UnitSink | undefined;
  #head = new FrameHead(EMPTY_LINE);
  #lastHead = new FrameHead(EMPTY_LINE);
  #frameBytes = 0;

  constructor(format: MessageFormat, onUnit?: OnUnit) {
    this.#unitBytes = format.unitBytes;
    if (onUnit !== undefined) this.#units = new UnitSink(format, onUnit);
  }

  /** The id of the last whole message; undefined before the first. */
  get cursor(): string | undefined {
    return /^id: (\S+)$/m.exec(this.#lastHead.text())?.[1];
  }

  beginFrame(payloadBytes: number): void {
    this.#frameBytes = payloadBytes;
    this.#head.reset();
  }

  write(chunk: Uint8Array, start: number, end: number): void {
    const at = this.#head.isComplete ? start : this.#head.take(chunk, start, end);
    if (at < end) this.#units?.write(chunk, at, end);
  }

  endFrame(): void {
    if (this.#frameBytes - this.#head.length !== this.#unitBytes) {
      this.fault ??= `a frame of ${this.#frameBytes} bytes began ${this.#head.text()}`;
    }
    this.messages += 1;
    [this.#head, this.#lastHead] = [this.#lastHead, this.#head];
  }
}
