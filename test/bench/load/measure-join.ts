/**
 * How long late joiners need for the whole log, while publishing goes on: the log is filled, then all
 * connect at once with `since=earliest`.
 *
 * A hole, a repeat, a change of order or a log that is shorter than promised fails the measurement.
 */
import { setTimeout as sleep } from "node:timers/promises";

import { listProcessTree } from "../processes/process-tree.ts";
import { quantile } from "../quantile.ts";
import { Audience } from "./audience.ts";
import type { BenchClient } from "./bench-client.ts";
import { dialects } from "./dialects.ts";
import type { JoinCommand, JoinResult } from "./load-command.ts";
import { OrderTracker } from "./order-tracker.ts";
import { OrderedSink } from "./ordered-sink.ts";
import { busyBetween, takeReading } from "./reading.ts";
import { SteadyPublisher } from "./steady-publisher.ts";
import { until } from "./until.ts";

/** Messages sent at once while the log is filled. */
const FILL_STEP = 500;
/** How long publishing goes on before anyone joins, and after all are current. */
const AROUND_MS = 500;

class Joiner {
  readonly tracker = new OrderTracker();
  readonly client: BenchClient;
  /** When it had all that had been published when it was let in. */
  currentMs: number | undefined;
  /** Messages published when it was let in. */
  due = Number.POSITIVE_INFINITY;

  constructor(connect: (tracker: OrderTracker) => BenchClient) {
    this.client = connect(this.tracker);
    this.client.onData = () => this.#look();
  }

  async join(publisher: SteadyPublisher): Promise<void> {
    await this.client.ready();
    this.due = publisher.sent;
    this.#look();
  }

  #look(): void {
    if (this.tracker.next >= this.due) this.currentMs ??= performance.now();
  }
}

export async function measureJoin(command: JoinCommand): Promise<JoinResult> {
  const { subscribers, messagesInLog, historyMessages } = command;
  const dialect = dialects[command.endpoint.dialect];
  const format = dialect.format(command.messageBytes);
  const framer = dialect.framer(format);
  const audience = await Audience.open(command.endpoint);
  const joiners: Joiner[] = [];
  const assertWell = (): void => {
    audience.assertWell();
    for (const { client } of joiners) if (client.fault !== undefined) throw new Error(client.fault);
  };
  try {
    // What a subscriber has seen is in the log; raw publishers get no acks.
    const witness = new OrderTracker();
    await audience.join([new OrderedSink(dialect, format, witness)]);
    for (let sent = 0; sent < messagesInLog; sent += FILL_STEP) {
      const count = Math.min(FILL_STEP, messagesInLog - sent);
      audience.publisher.send(framer.build(sent, count));
      await until(() => witness.next >= sent + count, {
        watch: assertWell,
        what: () => `only ${witness.next} messages of ${sent + count} arrived`,
      });
    }
    const publisher = new SteadyPublisher(audience.publisher, framer, messagesInLog);
    publisher.start(command.messagesPerSecond);
    await sleep(AROUND_MS);
    const pids = listProcessTree(command.serverPid);
    const before = takeReading(pids);
    const startMs = performance.now();
    for (let index = 0; index < subscribers; index++) {
      const connect = (tracker: OrderTracker): BenchClient =>
        audience.connect(new OrderedSink(dialect, format, tracker), "earliest");
      joiners.push(new Joiner(connect));
    }
    await Promise.all(joiners.map((joiner) => joiner.join(publisher)));
    await until(() => joiners.every(({ currentMs }) => currentMs !== undefined), {
      watch: assertWell,
      what: () =>
        `${joiners.filter((joiner) => joiner.currentMs === undefined).length} never caught up`,
    });
    const { busy } = busyBetween(before, takeReading(pids));
    await sleep(AROUND_MS);
    await publisher.stop();
    await until(() => joiners.every(({ tracker }) => tracker.next >= publisher.sent), {
      watch: assertWell,
      what: () => "a joiner fell behind again",
    });
    for (const joiner of joiners) assertComplete(joiner, historyMessages);
    const timesMs = joiners.map(({ currentMs }) => (currentMs ?? Number.NaN) - startMs);
    return {
      subscribers,
      messagesInLog,
      medianCurrentMs: quantile(timesMs, 0.5),
      lastCurrentMs: quantile(timesMs, 1),
      ...busy,
    };
  } finally {
    audience.close();
    for (const { client } of joiners) client.destroy();
  }
}

function assertComplete({ tracker, due }: Joiner, historyMessages: number): void {
  const { first = Number.NaN, lost, repeated } = tracker;
  if (lost > 0 || repeated > 0) {
    throw new Error(`A joiner lost ${lost} messages and had ${repeated} again or out of order`);
  }
  if (!(first <= Math.max(0, due - historyMessages))) {
    throw new Error(`The log began at message ${first} when ${due} had been published`);
  }
}
