/**
 * Memory per idle socket: how much the server's resident memory grows by N more subscribers.
 *
 * Some hundred subscribers and messages come first, so that code, heap and pools that any traffic
 * brings are not charged to the sockets. The N have received one message each, as any subscriber has,
 * and then nothing; the reading is taken when the memory has stopped changing.
 */
import { setTimeout as sleep } from "node:timers/promises";

import { listProcessTree, readUsage } from "../processes/process-tree.ts";
import { Audience } from "./audience.ts";
import { dialects } from "./dialects.ts";
import type { PayloadSink } from "./frame-reader.ts";
import type { MemoryCommand, MemoryResult } from "./load-command.ts";
import { settled } from "./settled.ts";

const WARMUP_MESSAGES = 20;
const LOOK_EVERY_MS = 500;

export async function measureMemory(command: MemoryCommand): Promise<MemoryResult> {
  const dialect = dialects[command.endpoint.dialect];
  const format = dialect.format(command.messageBytes);
  const audience = await Audience.open(command.endpoint);
  try {
    const framer = dialect.framer(format);
    await audience.join(sinks(command.warmupSubscribers));
    await sleep(200);
    audience.publisher.send(framer.build(0, WARMUP_MESSAGES));
    await settled(audience, WARMUP_MESSAGES);
    const before = await steadyResidentBytes(command);

    await audience.join(sinks(command.subscribers));
    await sleep(200);
    const deliveredBefore = audience.delivered();
    audience.publisher.send(framer.build(WARMUP_MESSAGES, 1));
    while (audience.delivered() < deliveredBefore + audience.subscribers.length) {
      audience.assertWell();
      await sleep(20);
    }
    const after = await steadyResidentBytes(command);
    audience.assertWell();
    return { bytesPerSocket: (after - before) / command.subscribers };
  } finally {
    audience.close();
  }

  function sinks(count: number): PayloadSink[] {
    return Array.from({ length: count }, () => dialect.countingSink(format));
  }
}

/** Waits until two looks in a row agree within one percent, at most `settleSeconds`. */
async function steadyResidentBytes(command: MemoryCommand): Promise<number> {
  const pids = listProcessTree(command.serverPid);
  const deadlineMs = performance.now() + command.settleSeconds * 1_000;
  let previous = Number.NaN;
  let current = readUsage(pids).residentBytes;
  while (performance.now() < deadlineMs && !(Math.abs(current / previous - 1) < 0.002)) {
    await sleep(LOOK_EVERY_MS);
    previous = current;
    current = readUsage(pids).residentBytes;
  }
  return current;
}
