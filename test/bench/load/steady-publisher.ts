/** Publishes at a steady rate in the background. */
import { setTimeout as sleep } from "node:timers/promises";

import type { BenchClient } from "./bench-client.ts";
import type { Framer } from "./dialect.ts";

export class SteadyPublisher {
  /** The sequence number of the next message. */
  sent: number;
  readonly #client: BenchClient;
  readonly #framer: Framer;
  #isRunning = false;
  #running: Promise<void> = Promise.resolve();

  constructor(client: BenchClient, framer: Framer, firstSequence = 0) {
    this.#client = client;
    this.#framer = framer;
    this.sent = firstSequence;
  }

  start(messagesPerSecond: number): void {
    this.#isRunning = true;
    this.#running = this.#run(messagesPerSecond);
  }

  async stop(): Promise<void> {
    this.#isRunning = false;
    await this.#running;
  }

  async #run(messagesPerSecond: number): Promise<void> {
    const startMs = performance.now();
    const firstSequence = this.sent;
    while (this.#isRunning) {
      const dueMs = startMs + ((this.sent - firstSequence) * 1_000) / messagesPerSecond;
      await sleep(Math.max(0, dueMs - performance.now()));
      this.#client.send(this.#framer.build(this.sent, 1));
      this.sent += 1;
    }
  }
}
