/**
 * A publisher and its subscribers, connected: what every measurement starts from.
 *
 * The publisher connects first: the hub has no topic before that. Subscribers connect a few at a time,
 * so that the measured server's accept queue never overflows.
 */
import { BenchClient } from "./bench-client.ts";
import type { Dialect } from "./dialect.ts";
import { dialects } from "./dialects.ts";
import type { PayloadSink } from "./frame-reader.ts";
import type { Endpoint } from "./load-command.ts";

const CONCURRENT_HANDSHAKES = 64;

export class Audience {
  readonly publisher: BenchClient;
  readonly subscribers: BenchClient[] = [];
  readonly #endpoint: Endpoint;
  readonly #dialect: Dialect;
  #clients = 0;

  private constructor(endpoint: Endpoint, publisherSink: PayloadSink | undefined) {
    this.#endpoint = endpoint;
    this.#dialect = dialects[endpoint.dialect];
    this.publisher = new BenchClient({
      port: endpoint.port,
      path: endpoint.publisherPath,
      dialect: this.#dialect,
      role: "publisher",
      clientId: 0,
      sink: publisherSink ?? this.#dialect.publisherSink(),
    });
  }

  /** Connects the publisher; `publisherSink` takes what the server sends to it. */
  static async open(endpoint: Endpoint, publisherSink?: PayloadSink): Promise<Audience> {
    const audience = new Audience(endpoint, publisherSink);
    await audience.publisher.ready();
    return audience;
  }

  /** Connects one more subscriber per sink. */
  async join(sinks: readonly PayloadSink[]): Promise<void> {
    const queue = [...sinks];
    const connectInTurn = async (): Promise<void> => {
      for (let sink = queue.shift(); sink !== undefined; sink = queue.shift()) {
        const client = this.connect(sink);
        this.subscribers.push(client);
        await client.ready();
      }
    };
    await Promise.all(Array.from({ length: CONCURRENT_HANDSHAKES }, connectInTurn));
  }

  /** Begins to connect a subscriber that the caller looks after, from a place in the past if given. */
  connect(sink: PayloadSink, since?: string): BenchClient {
    const { port, subscriberPath, sinceParameter } = this.#endpoint;
    this.#clients += 1;
    return new BenchClient({
      port,
      path: since === undefined ? subscriberPath : `${subscriberPath}?${sinceParameter}=${since}`,
      dialect: this.#dialect,
      role: "subscriber",
      clientId: this.#clients,
      sink,
    });
  }

  /** Deliveries so far, over all subscribers. */
  delivered(): number {
    let total = 0;
    for (const subscriber of this.subscribers) total += subscriber.messages;
    return total;
  }

  /** Throws when a connection has ended by itself, or brought what it should not. */
  assertWell(): void {
    const faults = [this.publisher, ...this.subscribers].flatMap(({ fault }) => fault ?? []);
    const [first] = faults;
    if (first !== undefined) {
      throw new Error(`${faults.length} connections went wrong; the first: ${first}`);
    }
  }

  close(): void {
    for (const client of [...this.subscribers, this.publisher]) client.destroy();
  }
}
