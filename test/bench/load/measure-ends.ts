/**
 * What other topics notice of a large one: how long a message on a topic of its own takes while all subscribers of
 * another one are closed, are given what is due first, or are taken back out of hibernation.
 *
 * The clients of the other topic are in a process of their own (probe.ts): thousands of sockets would hold it up.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

import { quantile } from "../quantile.ts";
import { Audience } from "./audience.ts";
import { countAwakeTopics } from "./awake-topics.ts";
import { dialects } from "./dialects.ts";
import type { EndsCommand, EndsResult } from "./load-command.ts";
import { until } from "./until.ts";

const program: string = fileURLToPath(new URL("probe.ts", import.meta.url));

/** Messages that are due to everyone when the topic ends in the middle of them. */
const DUE_MESSAGES = 20;
/** What the kernel and the server have to do with so many new sockets is over by then. */
const SETTLE_MS = 2_000;
/** What a process that has just begun takes for its first messages says nothing. */
const PROBE_WARMUP_MS = 1_000;
const TOPIC_ENDED = 1000;
/** A Close frame with that code, masked with zeros. */
const CLOSE_FRAME = new Uint8Array([0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8]);

export async function measureEnds(command: EndsCommand): Promise<EndsResult> {
  const { scenario, subscribers, endpoint, serverPid, messageBytes } = command;
  const dialect = dialects[endpoint.dialect];
  const format = dialect.format(messageBytes);
  const framer = dialect.framer(format);
  const audience = await Audience.open(endpoint);
  const latenciesMs: number[] = [];
  let probe: ChildProcess | undefined;
  try {
    await audience.join(
      Array.from({ length: subscribers }, () => dialect.unitSink(format, () => undefined)),
    );
    await sleep(SETTLE_MS);
    if (scenario === "wake") await untilAsleep(serverPid);
    probe = await startProbe(command, (ms) => void latenciesMs.push(ms));
    latenciesMs.length = 0;
    const startMs = performance.now();
    const messages = scenario === "end" ? 0 : scenario === "drain" ? DUE_MESSAGES : 1;
    for (let n = 0; n < messages; n++) audience.publisher.send(framer.build(n, 1));
    if (scenario !== "wake") audience.publisher.send(CLOSE_FRAME);
    await until(() => isServed(audience, scenario, messages), {
      watch: () => undefined,
      what: () => `${audience.delivered()} messages came, and not everyone was closed`,
    });
    const seconds = (performance.now() - startMs) / 1_000;
    return { scenario, subscribers, seconds, ...summarize(latenciesMs) };
  } finally {
    probe?.kill();
    audience.close();
  }
}

/** Whether all have all there was, and are closed if they are to be. */
function isServed(
  { subscribers }: Audience,
  scenario: EndsCommand["scenario"],
  messages: number,
): boolean {
  const isToClose = scenario !== "wake";
  return subscribers.every(
    (each) => each.messages >= messages && (!isToClose || each.closeCode === TOPIC_ENDED),
  );
}

function summarize(latenciesMs: readonly number[]): Pick<EndsResult, "p50Ms" | "p99Ms" | "maxMs"> {
  const at = (share: number): number => quantile(latenciesMs, share);
  return { p50Ms: at(0.5), p99Ms: at(0.99), maxMs: at(1) };
}

async function startProbe(
  { probe, messageBytes }: EndsCommand,
  onLatency: (ms: number) => void,
): Promise<ChildProcess> {
  const child = spawn(process.execPath, [program], {
    stdio: ["ignore", "inherit", "inherit", "ipc"],
  });
  child.on("message", (ms) => {
    if (typeof ms === "number") onLatency(ms);
  });
  child.send({ endpoint: probe, messageBytes });
  // The first one has been there and back.
  await once(child, "message");
  await sleep(PROBE_WARMUP_MS);
  return child;
}

async function untilAsleep(serverPid: number): Promise<void> {
  await until(() => countAwakeTopics(serverPid) === 0, {
    watch: () => undefined,
    what: () => `${countAwakeTopics(serverPid)} topics stayed awake`,
  });
}
