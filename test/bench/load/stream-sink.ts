/**
 * What a subscriber of `wspubsub.v1` does with its frames: `{…"cursor":"…","messages":["…","…"]}`.
 *
 * The number of messages follows from the frame's length and that of its head, so counting touches
 * the first bytes of a frame only, where the hub's codec would parse it whole. With `onUnit` every message is
 * assembled as well.
 */
import { parseHubFrame } from "../../../src/core/hub-frame.ts";
import { FrameHead } from "./frame-head.ts";
import type { PayloadSink } from "./frame-reader.ts";
import type { MessageFormat } from "./message-format.ts";
import { type OnUnit, UnitSink } from "./payload-sinks.ts";

/** Ends the head of a frame that carries messages. */
const MESSAGES = '"messages":[';
const TAIL = 0x5d_7d; // "]}"
const COMMA: Uint8Array = Uint8Array.of(0x2c);

export class StreamSink implements PayloadSink {
  messages = 0;
  fault: string | undefined;
  isReady = false;
  readonly #unitBytes: number;
  readonly #units: UnitSink | undefined;
  #head = new FrameHead(MESSAGES);
  #lastHead = new FrameHead(MESSAGES);
  #frameBytes = 0;
  #count = 0;
  /** Bytes of the body still to come, without the last two of the frame. */
  #bodyLeft = 0;
  #tail = 0;

  constructor(format: MessageFormat, onUnit?: OnUnit) {
    // As a unit a message has its quotes and a comma; that of the last one is a bracket.
    this.#unitBytes = format.unitBytes;
    if (onUnit !== undefined) this.#units = new UnitSink(format, onUnit);
  }

  /** That of the last whole frame; undefined before the first. */
  get cursor(): string | undefined {
    return /"cursor":"([^"]*)"/.exec(this.#lastHead.text())?.[1];
  }

  beginFrame(payloadBytes: number): void {
    this.#frameBytes = payloadBytes;
    this.#head.reset();
  }

  write(chunk: Uint8Array, start: number, end: number): void {
    let at = start;
    if (!this.#head.isComplete) {
      at = this.#head.take(chunk, start, end);
      if (!this.#head.isComplete) return;
      this.#beginBody();
    }
    if (this.#units === undefined) return;
    const stop = Math.min(end, at + this.#bodyLeft);
    this.#bodyLeft -= stop - at;
    this.#units.write(chunk, at, stop);
    for (at = stop; at < end; at++) this.#tail = this.#tail * 256 + (chunk[at] ?? 0);
  }

  endFrame(): void {
    if (!this.#head.isComplete) this.#readControl();
    else if (this.#units !== undefined) this.#endUnits(this.#units);
    if (this.#head.isComplete) this.messages += this.#count;
    [this.#head, this.#lastHead] = [this.#lastHead, this.#head];
  }

  #beginBody(): void {
    // n units, the last one's comma being the bracket, and the brace.
    this.#count = (this.#frameBytes - this.#head.length - 1) / this.#unitBytes;
    this.#tail = 0;
    if (!Number.isInteger(this.#count) || this.#count < 1) {
      this.fault ??= `a frame of ${this.#frameBytes} bytes began ${this.#head.text()}`;
      this.#count = 0;
    }
    this.#bodyLeft = Math.max(0, this.#count * this.#unitBytes - 1);
  }

  #endUnits(units: UnitSink): void {
    if (this.#tail !== TAIL) this.fault ??= "a frame of messages did not end in ]}";
    // So that the last unit is like the others.
    if (this.#count > 0) units.write(COMMA, 0, 1);
  }

  #readControl(): void {
    const text = this.#head.text();
    const frame = parseHubFrame(text);
    if (frame.ok && frame.value.type === "open") this.isReady = true;
    else this.fault ??= `the server sent ${text}`;
  }
}
