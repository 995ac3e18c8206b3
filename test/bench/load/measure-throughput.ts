/**
 * Throughput and CPU per delivery of a saturated server.
 *
 * Rates are read between two instants of a closed loop's steady state; afterwards the server drains,
 * and every subscriber must hold every message.
 */
import { setTimeout as sleep } from "node:timers/promises";

import { listProcessTree } from "../processes/process-tree.ts";
import { Audience } from "./audience.ts";
import { ClosedLoop } from "./closed-loop.ts";
import { dialects } from "./dialects.ts";
import type { ThroughputCommand, ThroughputResult } from "./load-command.ts";
import { busyBetween, takeReading } from "./reading.ts";
import { settled } from "./settled.ts";
import { UnitChecker } from "./unit-checker.ts";

/** Subscribers whose every byte is checked, and which the window waits for. */
const SAMPLE = 16;

export async function measureThroughput(command: ThroughputCommand): Promise<ThroughputResult> {
  const { endpoint, subscribers } = command;
  const dialect = dialects[endpoint.dialect];
  const format = dialect.format(command.messageBytes);
  const checks = new Map<number, UnitChecker>();
  for (let index = 0; index < SAMPLE; index++) {
    const place = Math.round((index * (subscribers - 1)) / (SAMPLE - 1));
    checks.set(place, new UnitChecker(format));
  }
  const audience = await Audience.open(endpoint);
  try {
    const sinks = Array.from({ length: subscribers }, (_, place) => {
      const checker = checks.get(place);
      if (checker === undefined) return dialect.countingSink(format);
      return dialect.unitSink(format, (unit) => checker.check(unit));
    });
    await audience.join(sinks);
    const share = Math.floor(endpoint.inFlight.deliveries / subscribers);
    const window = Math.max(1, Math.min(endpoint.inFlight.messages, share));
    const watched = audience.subscribers.filter((_, place) => checks.has(place));
    const framer = dialect.framer(format);
    const loop = new ClosedLoop(audience.publisher, watched, { framer, window });
    const pids = listProcessTree(command.serverPid);
    await sleep(200);
    loop.start();
    await sleep(command.warmupSeconds * 1_000);
    const before = takeReading(pids);
    const deliveredBefore = audience.delivered();
    await sleep(command.seconds * 1_000);
    const after = takeReading(pids);
    const deliveries = audience.delivered() - deliveredBefore;
    loop.stop();
    await settled(audience, loop.sent);
    for (const [place, { fault }] of checks) {
      if (fault !== undefined) throw new Error(`Subscriber ${place}: ${fault}`);
    }
    const { seconds, serverSeconds, busy } = busyBetween(before, after);
    if (deliveries === 0) throw new Error(`Nothing was delivered in ${seconds.toFixed(1)} s`);
    return {
      deliveriesPerSecond: deliveries / seconds,
      cpuMicrosPerDelivery: (serverSeconds * 1e6) / deliveries,
      window,
      ...busy,
    };
  } finally {
    audience.close();
  }
}
