/**
 * Publish-to-receive latency at a low, steady rate.
 *
 * Publisher and subscribers share this process and so a clock. Every message to every subscriber is a
 * sample; the time is read as each one is taken from its socket.
 */
import { setTimeout as sleep } from "node:timers/promises";

import { quantile } from "../quantile.ts";
import { listProcessTree, readUsage } from "../processes/process-tree.ts";
import { Audience } from "./audience.ts";
import { dialects } from "./dialects.ts";
import type { LatencyCommand, LatencyResult } from "./load-command.ts";
import { readSequence } from "./message-format.ts";
import { settled } from "./settled.ts";

export async function measureLatency(command: LatencyCommand): Promise<LatencyResult> {
  const dialect = dialects[command.endpoint.dialect];
  const format = dialect.format(command.messageBytes);
  const warmupMessages = Math.ceil(command.warmupSeconds * command.messagesPerSecond);
  const messages = warmupMessages + Math.ceil(command.seconds * command.messagesPerSecond);
  const sentAtMs = new Float64Array(messages);
  const latenciesMs: number[] = [];
  const onUnit = (unit: Uint8Array): void => {
    const sequence = readSequence(unit, format.prefix.length);
    const sentMs = sentAtMs[sequence];
    if (sentMs === undefined || sequence < warmupMessages) return;
    latenciesMs.push(performance.now() - sentMs);
  };
  const audience = await Audience.open(command.endpoint);
  try {
    await audience.join(
      Array.from({ length: command.subscribers }, () => dialect.unitSink(format, onUnit)),
    );
    const framer = dialect.framer(format);
    const pids = listProcessTree(command.serverPid);
    await sleep(200);
    const startMs = performance.now();
    const before = readUsage(pids).cpuSeconds;
    for (let sequence = 0; sequence < messages; sequence++) {
      const dueMs = startMs + (sequence * 1_000) / command.messagesPerSecond;
      await sleep(Math.max(0, dueMs - performance.now()));
      const frame = framer.build(sequence, 1);
      sentAtMs[sequence] = performance.now();
      audience.publisher.send(frame);
    }
    await settled(audience, messages);
    const seconds = (performance.now() - startMs) / 1_000;
    return {
      p50Ms: quantile(latenciesMs, 0.5),
      p99Ms: quantile(latenciesMs, 0.99),
      samples: latenciesMs.length,
      serverLoad: (readUsage(pids).cpuSeconds - before) / seconds,
    };
  } finally {
    audience.close();
  }
}
