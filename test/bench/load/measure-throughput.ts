/**
 * Throughput and CPU per delivery of a saturated server.
 *
 * A closed loop: at most `window` messages are on their way to the slowest of a sample of subscribers,
 * so nothing grows without bound. Rates are read between two instants of the steady state; afterwards
 * the server drains, and every subscriber must hold every message.
 */
import { setTimeout as sleep } from "node:timers/promises";

import { listProcessTree, readMachineSeconds, readUsage } from "../processes/process-tree.ts";
import { Audience } from "./audience.ts";
import { MessageFramer } from "./client-frame.ts";
import { type Dialect, dialects } from "./dialect.ts";
import type { ThroughputCommand, ThroughputResult } from "./load-command.ts";
import type { MessageFormat } from "./message-format.ts";
import { CheckingSink, CountingSink } from "./payload-sinks.ts";
import { settled } from "./settled.ts";

/** Subscribers whose every byte is checked, and which the window waits for. */
const SAMPLE = 16;

/**
 * Deliveries under way at most. 512 messages to 4,000 subscribers would be two million: half a minute
 * of work for a slow server, and hundreds of megabytes in its buffers.
 */
const DELIVERIES_IN_FLIGHT = 131_072;

export async function measureThroughput(command: ThroughputCommand): Promise<ThroughputResult> {
  const dialect = dialects[command.endpoint.dialect];
  const format = dialect.format(command.messageBytes);
  const checks = new Map<number, CheckingSink>();
  for (let index = 0; index < SAMPLE; index++) {
    const place = Math.round((index * (command.subscribers - 1)) / (SAMPLE - 1));
    checks.set(place, new CheckingSink(format));
  }
  const audience = await Audience.open(command.endpoint);
  try {
    const sinks = Array.from(
      { length: command.subscribers },
      (_, index) => checks.get(index) ?? new CountingSink(format),
    );
    await audience.join(sinks);
    const loop = new ClosedLoop(audience, [...checks.keys()], dialect, format, command);
    const pids = listProcessTree(command.serverPid);
    await sleep(200);
    loop.start();
    await sleep(command.warmupSeconds * 1_000);
    const before = read(audience, pids);
    await sleep(command.seconds * 1_000);
    const after = read(audience, pids);
    loop.stop();
    await settled(audience, loop.sent);
    for (const [place, { fault }] of checks) {
      if (fault !== undefined) throw new Error(`Subscriber ${place}: ${fault}`);
    }
    const seconds = after.seconds - before.seconds;
    const deliveries = after.deliveries - before.deliveries;
    if (deliveries === 0) throw new Error(`Nothing was delivered in ${seconds.toFixed(1)} s`);
    const serverSeconds = after.serverSeconds - before.serverSeconds;
    const ownSeconds = after.ownSeconds - before.ownSeconds;
    const machineSeconds = after.machineSeconds - before.machineSeconds;
    return {
      deliveriesPerSecond: deliveries / seconds,
      cpuMicrosPerDelivery: (serverSeconds * 1e6) / deliveries,
      serverLoad: serverSeconds / seconds,
      generatorLoad: ownSeconds / seconds,
      othersLoad: Math.max(0, machineSeconds - serverSeconds - ownSeconds) / seconds,
      messages: loop.sent,
    };
  } finally {
    audience.close();
  }
}

/** Publishes whenever the window has room. */
class ClosedLoop {
  sent = 0;
  readonly #audience: Audience;
  readonly #watched: readonly number[];
  readonly #framer: MessageFramer;
  readonly #window: number;
  #isRunning = false;

  constructor(
    audience: Audience,
    watched: readonly number[],
    dialect: Dialect,
    format: MessageFormat,
    command: ThroughputCommand,
  ) {
    this.#audience = audience;
    this.#watched = watched;
    this.#framer = new MessageFramer(dialect.opcode, format);
    const share = Math.floor(DELIVERIES_IN_FLIGHT / command.subscribers);
    this.#window = Math.max(1, Math.min(command.window, share));
  }

  start(): void {
    this.#isRunning = true;
    for (const place of this.#watched) {
      const client = this.#audience.subscribers[place];
      if (client !== undefined) client.onData = () => this.#publish();
    }
    this.#publish();
  }

  stop(): void {
    this.#isRunning = false;
  }

  #publish(): void {
    if (!this.#isRunning) return;
    let slowest = this.sent;
    for (const place of this.#watched) {
      slowest = Math.min(slowest, this.#audience.subscribers[place]?.messages ?? slowest);
    }
    const room = this.#window - (this.sent - slowest);
    if (room <= 0) return;
    this.#audience.publisher.send(this.#framer.build(this.sent, room));
    this.sent += room;
  }
}

interface Reading {
  readonly seconds: number;
  readonly deliveries: number;
  readonly serverSeconds: number;
  readonly ownSeconds: number;
  readonly machineSeconds: number;
}

function read(audience: Audience, pids: readonly number[]): Reading {
  const { user, system } = process.cpuUsage();
  return {
    seconds: performance.now() / 1_000,
    deliveries: audience.delivered(),
    serverSeconds: readUsage(pids).cpuSeconds,
    ownSeconds: (user + system) / 1e6,
    machineSeconds: readMachineSeconds(),
  };
}
