/**
 * Publishes whenever the window has room: at most so many messages are on their way to the slowest of
 * the watched subscribers, so nothing grows without bound.
 */
import type { BenchClient } from "./bench-client.ts";
import type { Framer } from "./dialect.ts";

export class ClosedLoop {
  sent = 0;
  readonly #publisher: BenchClient;
  readonly #watched: readonly BenchClient[];
  readonly #framer: Framer;
  readonly #window: number;
  #isRunning = false;

  constructor(
    publisher: BenchClient,
    watched: readonly BenchClient[],
    options: { readonly framer: Framer; readonly window: number },
  ) {
    this.#publisher = publisher;
    this.#watched = watched;
    this.#framer = options.framer;
    this.#window = options.window;
  }

  start(): void {
    this.#isRunning = true;
    for (const client of this.#watched) client.onData = () => this.#publish();
    this.#publish();
  }

  stop(): void {
    this.#isRunning = false;
  }

  #publish(): void {
    if (!this.#isRunning) return;
    let slowest = this.sent;
    for (const { messages } of this.#watched) slowest = Math.min(slowest, messages);
    const room = this.#window - (this.sent - slowest);
    if (room <= 0) return;
    this.#publisher.send(this.#framer.build(this.sent, room));
    this.sent += room;
  }
}
