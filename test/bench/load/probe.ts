/**
 * A process that measures one topic all the time: one publisher, one subscriber, and the latency of each message over
 * IPC as it comes. Ends with whoever started it.
 */
import { setTimeout as sleep } from "node:timers/promises";

import { Audience } from "./audience.ts";
import { dialects } from "./dialects.ts";
import type { Endpoint } from "./load-command.ts";
import { readSequence } from "./message-format.ts";

const EVERY_MS = 5;

interface ProbeCommand {
  readonly endpoint: Endpoint;
  readonly messageBytes: number;
}

process.once("disconnect", () => process.exit(0));
process.once("message", (command: ProbeCommand) => void probe(command));

async function probe({ endpoint, messageBytes }: ProbeCommand): Promise<void> {
  const dialect = dialects[endpoint.dialect];
  const format = dialect.format(messageBytes);
  const framer = dialect.framer(format);
  const sentAtMs: number[] = [];
  const audience = await Audience.open(endpoint);
  const onUnit = (unit: Uint8Array): void => {
    const sentMs = sentAtMs[readSequence(unit, format.prefix.length)];
    if (sentMs !== undefined) process.send?.(performance.now() - sentMs);
  };
  await audience.join([dialect.unitSink(format, onUnit)]);
  for (let sequence = 0; ; sequence++) {
    sentAtMs.push(performance.now());
    audience.publisher.send(framer.build(sequence, 1));
    await sleep(EVERY_MS);
  }
}
