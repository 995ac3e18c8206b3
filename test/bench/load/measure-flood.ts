/**
 * What others notice of a flood: one raw publisher sends to a topic with one subscriber as fast as the scenario says,
 * while a topic with ten subscribers gets its messages and subscribers join it one after the other.
 */
import { setTimeout as sleep } from "node:timers/promises";

import { quantile } from "../quantile.ts";
import { Audience } from "./audience.ts";
import type { Dialect } from "./dialect.ts";
import { dialects } from "./dialects.ts";
import type { FloodScenario } from "./flood-scenarios.ts";
import type { Endpoint, FloodCommand, FloodResult, FloodTopics } from "./load-command.ts";
import { type MessageFormat, readSequence } from "./message-format.ts";
import { settled } from "./settled.ts";

const SUBSCRIBERS = 10;
const MESSAGES_PER_SECOND = 100;
const CONNECTS_PER_SECOND = 50;
/** The flood is sent in as many pieces a second: a sleep takes a millisecond at least. */
const FLOOD_TICKS_PER_SECOND = 200;

export async function measureFlood(command: FloodCommand): Promise<FloodResult[]> {
  const results: FloodResult[] = [];
  for (const topics of command.topics) results.push(await measureScenario(command, topics));
  return results;
}

async function measureScenario(
  command: FloodCommand,
  { scenario, flooded, quiet: endpoint }: FloodTopics,
): Promise<FloodResult> {
  const quiet = await QuietTopic.open(endpoint, command.messageBytes);
  const flood = await Flood.open(flooded, scenario);
  try {
    flood.start();
    await sleep(command.warmupSeconds * 1000);
    const before = flood.received;
    const startMs = performance.now();
    const [deliveriesMs, connectsMs] = await Promise.all([
      quiet.publish(command.seconds),
      quiet.connect(command.seconds),
    ]);
    const seconds = (performance.now() - startMs) / 1000;
    const floodPerSecond = (flood.received - before) / seconds;
    await flood.stop();
    return {
      scenario,
      floodPerSecond,
      deliveryP50Ms: quantile(deliveriesMs, 0.5),
      deliveryP99Ms: quantile(deliveriesMs, 0.99),
      connectP50Ms: quantile(connectsMs, 0.5),
      connectP99Ms: quantile(connectsMs, 0.99),
    };
  } finally {
    flood.close();
    quiet.close();
  }
}

/** A publisher that sends as much as it is told, and a subscriber that must get all of it. */
class Flood {
  readonly #audience: Audience;
  readonly #scenario: FloodScenario;
  #sent = 0;
  #isRunning = false;
  #running: Promise<void> = Promise.resolve();

  private constructor(audience: Audience, scenario: FloodScenario) {
    this.#audience = audience;
    this.#scenario = scenario;
  }

  static async open(endpoint: Endpoint, scenario: FloodScenario): Promise<Flood> {
    const audience = await Audience.open(endpoint);
    const dialect = dialects[endpoint.dialect];
    await audience.join([dialect.countingSink(dialect.format(scenario.messageBytes))]);
    return new Flood(audience, scenario);
  }

  /** Messages that its subscriber has. */
  get received(): number {
    return this.#audience.delivered();
  }

  start(): void {
    this.#isRunning = true;
    this.#running = this.#run();
  }

  async stop(): Promise<void> {
    this.#isRunning = false;
    await this.#running;
    await settled(this.#audience, this.#sent);
  }

  close(): void {
    this.#isRunning = false;
    this.#audience.close();
  }

  async #run(): Promise<void> {
    const dialect = dialects.plain;
    const framer = dialect.framer(dialect.format(this.#scenario.messageBytes));
    const startMs = performance.now();
    while (this.#isRunning) {
      const due = ((performance.now() - startMs) / 1000) * this.#scenario.messagesPerSecond;
      const count = Math.floor(due) - this.#sent;
      if (count > 0) {
        this.#audience.publisher.send(framer.build(this.#sent, count));
        this.#sent += count;
      }
      await sleep(1000 / FLOOD_TICKS_PER_SECOND);
    }
  }
}

/** The topic beside it. */
class QuietTopic {
  readonly #audience: Audience;
  readonly #dialect: Dialect;
  readonly #format: MessageFormat;
  readonly #sentAtMs: number[] = [];
  readonly #latenciesMs: number[] = [];

  private constructor(audience: Audience, dialect: Dialect, format: MessageFormat) {
    this.#audience = audience;
    this.#dialect = dialect;
    this.#format = format;
  }

  static async open(endpoint: Endpoint, messageBytes: number): Promise<QuietTopic> {
    const audience = await Audience.open(endpoint);
    const dialect = dialects[endpoint.dialect];
    const format = dialect.format(messageBytes);
    const quiet = new QuietTopic(audience, dialect, format);
    const onUnit = (unit: Uint8Array): void => {
      const sentMs = quiet.#sentAtMs[readSequence(unit, format.prefix.length)];
      if (sentMs !== undefined) quiet.#latenciesMs.push(performance.now() - sentMs);
    };
    await audience.join(
      Array.from({ length: SUBSCRIBERS }, () => dialect.unitSink(format, onUnit)),
    );
    return quiet;
  }

  /** Publishes steadily; returns each delivery's time. */
  async publish(seconds: number): Promise<number[]> {
    const framer = this.#dialect.framer(this.#format);
    const messages = Math.ceil(seconds * MESSAGES_PER_SECOND);
    const startMs = performance.now();
    for (let sequence = 0; sequence < messages; sequence++) {
      const dueMs = startMs + (sequence * 1000) / MESSAGES_PER_SECOND;
      await sleep(Math.max(0, dueMs - performance.now()));
      this.#sentAtMs[sequence] = performance.now();
      this.#audience.publisher.send(framer.build(sequence, 1));
    }
    await settled(this.#audience, messages);
    return this.#latenciesMs;
  }

  /** Lets subscribers come and go, at most one at a time; returns how long each took to come. */
  async connect(seconds: number): Promise<number[]> {
    const connectsMs: number[] = [];
    const startMs = performance.now();
    const connects = Math.ceil(seconds * CONNECTS_PER_SECOND);
    for (let connect = 0; connect < connects; connect++) {
      const dueMs = startMs + (connect * 1000) / CONNECTS_PER_SECOND;
      await sleep(Math.max(0, dueMs - performance.now()));
      const beganMs = performance.now();
      const client = this.#audience.connect(this.#dialect.countingSink(this.#format));
      await client.ready();
      connectsMs.push(performance.now() - beganMs);
      client.destroy();
    }
    return connectsMs;
  }

  close(): void {
    this.#audience.close();
  }
}
