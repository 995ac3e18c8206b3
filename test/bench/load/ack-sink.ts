/**
 * What a publisher of `wspubsub.v1` does with the hub's answers: count the acks, mind the errors. It looks for an
 * ack's id only: the hub's codec takes ten times as long, and an ingest run has an ack for each frame.
 */
import type { PayloadSink } from "./frame-reader.ts";

export class AckSink implements PayloadSink {
  readonly messages = 0;
  fault: string | undefined;
  readonly #onAck: (id: string) => void;
  #frame: Buffer = Buffer.alloc(0);
  #filled = 0;

  constructor(onAck: (id: string) => void = () => undefined) {
    this.#onAck = onAck;
  }

  beginFrame(payloadBytes: number): void {
    if (payloadBytes > this.#frame.length) this.#frame = Buffer.alloc(payloadBytes);
    this.#filled = 0;
  }

  write(chunk: Uint8Array, start: number, end: number): void {
    this.#frame.set(chunk.subarray(start, end), this.#filled);
    this.#filled += end - start;
  }

  endFrame(): void {
    const text = this.#frame.toString("utf8", 0, this.#filled);
    const id = /^\{"type":"ack","id":"([^"]*)",/.exec(text)?.[1];
    if (id === undefined) this.fault ??= `the server answered ${text}`;
    else this.#onAck(id);
  }
}
