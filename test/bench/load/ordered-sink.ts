/** A subscriber's sink that keeps track of which messages came, frame by whole frame. */
import type { Dialect } from "./dialect.ts";
import type { PayloadSink } from "./frame-reader.ts";
import { type MessageFormat, readSequence } from "./message-format.ts";
import type { OrderTracker } from "./order-tracker.ts";

export class OrderedSink implements PayloadSink {
  readonly #tracker: OrderTracker;
  readonly #sink: PayloadSink;

  constructor(dialect: Dialect, format: MessageFormat, tracker: OrderTracker) {
    this.#tracker = tracker;
    const digitsAt = format.prefix.length;
    this.#sink = dialect.unitSink(format, (unit) => tracker.take(readSequence(unit, digitsAt)));
    // What the connection before this one left unfinished never came.
    tracker.rollback();
  }

  get messages(): number {
    return this.#sink.messages;
  }

  get isReady(): boolean {
    return this.#sink.isReady ?? true;
  }

  get fault(): string | undefined {
    return this.#sink.fault;
  }

  get cursor(): string | undefined {
    return this.#sink.cursor;
  }

  beginFrame(payloadBytes: number): void {
    this.#sink.beginFrame?.(payloadBytes);
  }

  write(chunk: Uint8Array, start: number, end: number): void {
    this.#sink.write(chunk, start, end);
  }

  endFrame(): void {
    this.#sink.endFrame?.();
    this.#tracker.commit();
  }
}
