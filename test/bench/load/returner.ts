/** A subscriber of a reconnect storm, across its two connections. */
import type { Audience } from "./audience.ts";
import type { BenchClient } from "./bench-client.ts";
import { OrderTracker } from "./order-tracker.ts";
import type { OrderedSink } from "./ordered-sink.ts";
import type { SteadyPublisher } from "./steady-publisher.ts";

export class Returner {
  readonly tracker = new OrderTracker();
  /** That of the connection it has. */
  sink: OrderedSink;
  /** When it had all that had been published when it was let in again. */
  currentMs: number | undefined;
  readonly #createSink: (tracker: OrderTracker) => OrderedSink;
  #client: BenchClient | undefined;
  #refusal: string | undefined;

  constructor(createSink: (tracker: OrderTracker) => OrderedSink) {
    this.#createSink = createSink;
    this.sink = createSink(this.tracker);
  }

  /** Why it is not well; undefined while it is. */
  get fault(): string | undefined {
    return this.#refusal ?? this.#client?.fault;
  }

  /** Connects again with the last cursor it has seen. */
  async comeBack(audience: Audience, publisher: SteadyPublisher): Promise<void> {
    const { cursor } = this.sink;
    if (cursor === undefined) throw new Error("A subscriber was cut before it had a cursor");
    this.sink = this.#createSink(this.tracker);
    const client = audience.connect(this.sink, cursor);
    this.#client = client;
    let due = Number.POSITIVE_INFINITY;
    const look = (): void => {
      if (this.tracker.next >= due) this.currentMs ??= performance.now();
    };
    client.onData = look;
    try {
      await client.ready();
    } catch (error) {
      // A server that lets nobody in, or not in time: this one is left behind.
      this.#refusal = error instanceof Error ? error.message : String(error);
      return;
    }
    due = publisher.sent;
    look();
  }

  destroy(): void {
    this.#client?.destroy();
  }
}
