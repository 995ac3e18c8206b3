/**
 * How fast one publisher gets its messages into the log: a closed loop on acks, with one subscriber
 * attached.
 *
 * Every ack must come, in the order of the frames, and the subscriber must have every byte.
 */
import { setTimeout as sleep } from "node:timers/promises";

import { listProcessTree } from "../processes/process-tree.ts";
import { AckSink } from "./ack-sink.ts";
import { Audience } from "./audience.ts";
import { dialects } from "./dialects.ts";
import type { IngestCommand, IngestResult } from "./load-command.ts";
import { busyBetween, takeReading } from "./reading.ts";
import { settled } from "./settled.ts";
import { StreamFramer } from "./stream-framer.ts";
import { UnitChecker } from "./unit-checker.ts";
import { until } from "./until.ts";

/** Messages sent and not yet acknowledged, at most. */
const UNACKNOWLEDGED = 4_000;

export async function measureIngest(command: IngestCommand): Promise<IngestResult> {
  const { messagesPerFrame } = command;
  const dialect = dialects[command.endpoint.dialect];
  const format = dialect.format(command.messageBytes);
  const framer = new StreamFramer(format, messagesPerFrame);
  let [sent, acknowledged] = [0, 0];
  let fault: string | undefined;
  const onAck = (id: string): void => {
    if (Number(id) !== acknowledged)
      fault ??= `the ack of "${id}" came in place of ${acknowledged}`;
    acknowledged += messagesPerFrame;
  };
  const audience = await Audience.open(command.endpoint, new AckSink(onAck));
  let isRunning = true;
  const publish = (): void => {
    const room = UNACKNOWLEDGED - (sent - acknowledged);
    const messages = room - (room % messagesPerFrame);
    if (!isRunning || messages <= 0) return;
    audience.publisher.send(framer.build(sent, messages));
    sent += messages;
  };
  try {
    const checker = new UnitChecker(format);
    await audience.join([dialect.unitSink(format, (unit) => checker.check(unit))]);
    const pids = listProcessTree(command.serverPid);
    audience.publisher.onData = publish;
    publish();
    await sleep(command.warmupSeconds * 1_000);
    const before = takeReading(pids);
    const acknowledgedBefore = acknowledged;
    await sleep(command.seconds * 1_000);
    const after = takeReading(pids);
    const messages = acknowledged - acknowledgedBefore;
    isRunning = false;
    await until(() => acknowledged >= sent, {
      watch: () => audience.assertWell(),
      what: () => `${sent - acknowledged} messages were not acknowledged`,
    });
    await settled(audience, sent);
    fault ??= checker.fault;
    if (fault !== undefined) throw new Error(fault);
    const { seconds, serverSeconds, busy } = busyBetween(before, after);
    if (messages === 0) throw new Error(`Nothing was acknowledged in ${seconds.toFixed(1)} s`);
    return {
      messagesPerSecond: messages / seconds,
      cpuMicrosPerMessage: (serverSeconds * 1e6) / messages,
      ...busy,
    };
  } finally {
    audience.close();
  }
}
