/** One step of the plan on one running server: the command to the load generator, and its result. */
import type { Endpoint } from "./load/load-command.ts";
import { runLoad } from "./load/run-load.ts";
import type { Options } from "./options.ts";
import type { Step } from "./step.ts";
import type { RoundResult } from "./summary.ts";
import type { RunningTarget } from "./targets/target.ts";

const LATENCY_MESSAGES_PER_SECOND = 50;
const MEMORY_SETTLE_SECONDS = 15;

/** Measures, puts the numbers into `result`, and returns them as a line for the user. */
export async function measureTarget(
  step: Step,
  result: RoundResult,
  server: RunningTarget,
  options: Options,
): Promise<string> {
  const { messageBytes, seconds, warmupSeconds, window } = options;
  const endpoint: Endpoint = server.endpoint();
  const common = { endpoint, serverPid: server.pid, messageBytes };
  switch (step.kind) {
    case "memory": {
      const subscribers = options.memorySubscribers;
      const memory = await runLoad({
        ...common,
        kind: "memory",
        subscribers,
        warmupSubscribers: Math.ceil(subscribers / 6),
        settleSeconds: MEMORY_SETTLE_SECONDS,
      });
      result.memory = memory;
      return `memory ${(memory.bytesPerSocket / 1024).toFixed(1)} KB per idle socket`;
    }
    case "latency": {
      const latency = await runLoad({
        ...common,
        kind: "latency",
        subscribers: options.latencySubscribers,
        messagesPerSecond: LATENCY_MESSAGES_PER_SECOND,
        warmupSeconds,
        seconds,
      });
      result.latency = latency;
      return `latency p50 ${latency.p50Ms.toFixed(2)} ms, p99 ${latency.p99Ms.toFixed(2)} ms`;
    }
    case "throughput": {
      const { subscribers } = step;
      const load = { kind: "throughput", subscribers, window, warmupSeconds, seconds } as const;
      const measured = await runLoad({ ...common, ...load });
      result.throughput.set(subscribers, measured);
      return (
        `${subscribers} subscribers: ${Math.round(measured.deliveriesPerSecond)} deliveries/s, ` +
        `${measured.cpuMicrosPerDelivery.toFixed(2)} µs each; busy: server ` +
        `${percent(measured.serverLoad)}, generator ${percent(measured.generatorLoad)}, ` +
        `others ${percent(measured.othersLoad)}`
      );
    }
  }
}

function percent(share: number): string {
  return `${Math.round(share * 100)}%`;
}
