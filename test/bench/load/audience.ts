/**
 * A publisher and its subscribers, connected: what every measurement starts from.
 *
 * The publisher connects first: the hub has no topic before that. Subscribers connect a few at a time,
 * so that the measured server's accept queue never overflows.
 */
import { BenchClient } from "./bench-client.ts";
import type { Endpoint } from "./load-command.ts";
import { type Dialect, dialects } from "./dialect.ts";
import type { PayloadSink } from "./frame-reader.ts";

const CONCURRENT_HANDSHAKES = 64;

export class Audience {
  readonly publisher: BenchClient;
  readonly subscribers: BenchClient[] = [];
  readonly #endpoint: Endpoint;
  readonly #dialect: Dialect;

  private constructor(endpoint: Endpoint) {
    this.#endpoint = endpoint;
    this.#dialect = dialects[endpoint.dialect];
    this.publisher = new BenchClient({
      port: endpoint.port,
      path: endpoint.publisherPath,
      dialect: this.#dialect,
      role: "publisher",
      clientId: 0,
    });
  }

  static async open(endpoint: Endpoint): Promise<Audience> {
    const audience = new Audience(endpoint);
    await audience.publisher.ready();
    return audience;
  }

  /** Connects one more subscriber per sink. */
  async join(sinks: readonly PayloadSink[]): Promise<void> {
    const { port, subscriberPath: path } = this.#endpoint;
    const queue = [...sinks];
    const connectInTurn = async (): Promise<void> => {
      for (let sink = queue.shift(); sink !== undefined; sink = queue.shift()) {
        const clientId = this.subscribers.length + 1;
        const dialect = this.#dialect;
        const client = new BenchClient({ port, path, dialect, role: "subscriber", clientId, sink });
        this.subscribers.push(client);
        await client.ready();
      }
    };
    await Promise.all(Array.from({ length: CONCURRENT_HANDSHAKES }, connectInTurn));
  }

  /** Deliveries so far, over all subscribers. */
  delivered(): number {
    let total = 0;
    for (const subscriber of this.subscribers) total += subscriber.messages;
    return total;
  }

  /** Throws when a connection has ended by itself. */
  assertConnected(): void {
    const lost = [this.publisher, ...this.subscribers].filter(({ fault }) => fault !== undefined);
    const [first] = lost;
    if (first === undefined) return;
    throw new Error(`${lost.length} connections ended early; the first: ${first.fault}`);
  }

  close(): void {
    for (const client of [...this.subscribers, this.publisher]) client.destroy();
  }
}
