/** One step of the plan on one running server: the command to the load generator, and its result. */
import {
  type Busy,
  type CallsResult,
  type Endpoint,
  type EndsResult,
  ENDS_SCENARIOS,
  type FloodResult,
  type PostResult,
} from "./load/load-command.ts";
import { FLOOD_SCENARIOS } from "./load/flood-scenarios.ts";
import { historyScenarios } from "./history-scenarios.ts";
import { kickScenarios } from "./kick-scenarios.ts";
import { type HistoryRow, measureHistory } from "./measure-history.ts";
import { runLoad } from "./load/run-load.ts";
import type { Options } from "./options.ts";
import type { RoundResult } from "./round-result.ts";
import type { Step } from "./step.ts";
import { HISTORY_MESSAGES } from "./targets/key-store.ts";
import type { RunningTarget } from "./targets/target.ts";

const MEMORY_SETTLE_SECONDS = 15;
const JOIN_MESSAGES_PER_SECOND = 200;
const STORM_MESSAGES_PER_SECOND = 20;
const STORM_JITTER_SECONDS = 2;

/** What every command has. */
interface Common {
  readonly endpoint: Endpoint;
  readonly serverPid: number;
  readonly messageBytes: number;
}

export interface Measured {
  /** The numbers as a line for the user. */
  readonly line: string;
  /** Processors that other work used; undefined where it hardly matters. */
  readonly othersLoad: number | undefined;
  /** Puts the numbers into the round's result. */
  record(result: RoundResult): void;
}

export async function measureTarget(
  step: Step,
  server: RunningTarget,
  options: Options,
): Promise<Measured> {
  const { messageBytes, seconds, warmupSeconds } = options;
  const endpoint = withWindow(server.endpoint(step.kind), options.window);
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
      return {
        line: `memory ${(memory.bytesPerSocket / 1024).toFixed(1)} KB per idle socket`,
        othersLoad: undefined,
        record: (result) => {
          result.memory = memory;
        },
      };
    }
    case "latency": {
      const latency = await runLoad({
        ...common,
        kind: "latency",
        subscribers: options.latencySubscribers,
        messagesPerSecond: options.latencyRate,
        warmupSeconds,
        seconds,
      });
      return {
        line: `latency p50 ${latency.p50Ms.toFixed(2)} ms, p99 ${latency.p99Ms.toFixed(2)} ms`,
        othersLoad: undefined,
        record: (result) => {
          result.latency = latency;
        },
      };
    }
    case "history": {
      const rows: HistoryRow[] = [];
      const subscribers = options.latencySubscribers;
      const load = { ...common, subscribers, warmupSeconds, seconds };
      for (const scenario of historyScenarios(options.history)) {
        rows.push(await measureHistory(scenario, server, load));
      }
      return {
        line: `history: ${rows.map(describeHistory).join("; ")}`,
        othersLoad: undefined,
        record: (result) => {
          for (const row of rows) result.history.set(row.scenario.name, row);
        },
      };
    }
    case "connect": {
      const { connects } = options;
      const warmupConnects = Math.ceil(connects / 3);
      const connect = await runLoad({ ...common, kind: "connect", connects, warmupConnects });
      return {
        line:
          `connects ${Math.round(connect.connectsPerSecond)}/s, ` +
          `${Math.round(connect.cpuMicrosPerConnect)} µs each; ${describeBusy(connect)}`,
        othersLoad: connect.othersLoad,
        record: (result) => {
          result.connect = connect;
        },
      };
    }
    case "post": {
      const rows: PostResult[] = [];
      // A post passes through much code, which the compiler must have seen.
      const load = { ...common, kind: "post", warmupSeconds: 3 * warmupSeconds, seconds } as const;
      for (const scenario of server.posts?.() ?? [])
        rows.push(await runLoad({ ...load, scenario }));
      return {
        line: `posts: ${rows.map(describePosts).join("; ")}`,
        othersLoad: undefined,
        record: (result) => {
          for (const row of rows) result.post.set(row.scenario.name, row);
        },
      };
    }
    case "kick": {
      const rows = await measureKicks(server, options, common);
      return {
        line: `kick, last Close: ${rows.map(describeKick).join("; ")}`,
        othersLoad: undefined,
        record: (result) => {
          for (const row of rows) result.kick.set(row.scenario.name, row);
        },
      };
    }
    case "join": {
      const { joinSubscribers: subscribers, messagesInLog } = options;
      const join = await runLoad({
        ...common,
        kind: "join",
        subscribers,
        messagesInLog,
        historyMessages: HISTORY_MESSAGES,
        messagesPerSecond: JOIN_MESSAGES_PER_SECOND,
      });
      return {
        line:
          `${subscribers} late joiners, ${messagesInLog} messages each: half are current after ` +
          `${Math.round(join.medianCurrentMs)} ms, the last after ${Math.round(join.lastCurrentMs)} ms; ` +
          describeBusy(join),
        othersLoad: undefined,
        record: (result) => {
          result.join = join;
        },
      };
    }
    case "storm": {
      const { stormSubscribers: subscribers } = options;
      const storm = await runLoad({
        ...common,
        kind: "storm",
        subscribers,
        messagesPerSecond: STORM_MESSAGES_PER_SECOND,
        jitterSeconds: STORM_JITTER_SECONDS,
        queryCountUrl: server.queryCountUrl,
      });
      return {
        line:
          `storm of ${subscribers}: ${storm.lost} lost, ${storm.repeated} repeated, ` +
          `${storm.databaseQueries ?? "no"} database queries, ` +
          `the last is current after ${Math.round(storm.lastCurrentMs)} ms, ` +
          `${storm.leftBehind} are left behind${storm.fault === undefined ? "" : ` (${storm.fault})`}; ` +
          describeBusy(storm),
        othersLoad: undefined,
        record: (result) => {
          result.storm = storm;
        },
      };
    }
    case "flood": {
      const load = { kind: "flood", warmupSeconds, seconds } as const;
      const topics = FLOOD_SCENARIOS.map((scenario) => ({
        scenario,
        flooded: server.endpoint(step.kind),
        quiet: server.endpoint(step.kind),
      }));
      const rows = await runLoad({ ...common, ...load, topics });
      return {
        line: `p99 of others beside a flood: ${rows.map(describeFlood).join("; ")}`,
        othersLoad: undefined,
        record: (result) => {
          for (const row of rows) result.flood.set(row.scenario.name, row);
        },
      };
    }
    case "ends": {
      const rows: EndsResult[] = [];
      for (const scenario of ENDS_SCENARIOS) {
        // Each needs a topic of its own.
        const load = { ...common, endpoint: server.endpoint("ends") };
        const probe = server.endpoint("latency");
        const subscribers = options.endsSubscribers;
        rows.push(await runLoad({ ...load, kind: "ends", scenario, subscribers, probe }));
      }
      return {
        line: `beside ${options.endsSubscribers}: ${rows.map(describeEnds).join("; ")}`,
        othersLoad: undefined,
        record: (result) => {
          for (const row of rows) result.ends.set(row.scenario, row);
        },
      };
    }
    case "ingest": {
      const { messagesPerFrame } = step;
      const load = { kind: "ingest", messagesPerFrame, warmupSeconds, seconds } as const;
      const measured = await runLoad({ ...common, ...load });
      return {
        line:
          `ingest in frames of ${messagesPerFrame}: ` +
          `${Math.round(measured.messagesPerSecond)} messages/s, ` +
          `${measured.cpuMicrosPerMessage.toFixed(2)} µs each; ${describeBusy(measured)}`,
        othersLoad: measured.othersLoad,
        record: (result) => {
          result.ingest.set(messagesPerFrame, measured);
        },
      };
    }
    case "throughput": {
      const { subscribers } = step;
      const load = { kind: "throughput", subscribers, warmupSeconds, seconds } as const;
      const measured = await runLoad({ ...common, ...load });
      return {
        line:
          `${subscribers} subscribers: ${Math.round(measured.deliveriesPerSecond)} deliveries/s, ` +
          `${measured.cpuMicrosPerDelivery.toFixed(2)} µs each; ${describeBusy(measured)}`,
        othersLoad: measured.othersLoad,
        record: (result) => {
          result.throughput.set(subscribers, measured);
        },
      };
    }
  }
}

/** Revokes keys; where there are none, as many bare calls. */
async function measureKicks(
  { callsPath, revocation }: RunningTarget,
  { kick }: Options,
  common: Common,
): Promise<readonly CallsResult[]> {
  const scenarios = kickScenarios(kick);
  if (callsPath !== undefined) {
    const awake = scenarios.filter(({ isAsleep }) => !isAsleep);
    return runLoad({ ...common, kind: "calls", callsPath, scenarios: awake });
  }
  const total = scenarios.reduce((sum, { keys }) => sum + keys, 0);
  const revocable = await revocation?.(total);
  if (revocable === undefined) throw new Error("It has no keys to revoke");
  const { adminToken, domain, residentKey: key, keys: unused } = revocable;
  const queue = [...unused];
  return runLoad({
    ...common,
    kind: "kick",
    adminToken,
    domain,
    residents: kick.holders === undefined ? undefined : { topics: kick.topics, key },
    scenarios: scenarios.map((scenario) => ({ scenario, keys: queue.splice(0, scenario.keys) })),
  });
}

function describePosts({ scenario, postsPerSecond, cpuMicrosPerPost }: PostResult): string {
  return `${scenario.name} ${Math.round(postsPerSecond)}/s, ${Math.round(cpuMicrosPerPost)} µs each`;
}

function describeHistory({ scenario, p50Ms, rowsPerSecond }: HistoryRow): string {
  return `${scenario.name}: p50 ${p50Ms.toFixed(1)} ms, ${rowsPerSecond.toFixed(1)} rows/s`;
}

function describeFlood({ scenario, deliveryP99Ms, connectP99Ms }: FloodResult): string {
  return `${scenario.name}: delivery ${deliveryP99Ms.toFixed(1)} ms, connect ${connectP99Ms.toFixed(1)} ms`;
}

function describeEnds({ scenario, p99Ms, maxMs, seconds }: EndsResult): string {
  return `${scenario} p99 ${p99Ms.toFixed(1)} ms, at most ${maxMs.toFixed(1)} ms, in ${seconds.toFixed(1)} s`;
}

function describeKick({ scenario, lastMs }: CallsResult): string {
  return `${scenario.name} ${lastMs.toFixed(1)} ms`;
}

function withWindow(endpoint: Endpoint, messages: number | undefined): Endpoint {
  if (messages === undefined) return endpoint;
  return { ...endpoint, inFlight: { ...endpoint.inFlight, messages } };
}

function describeBusy({ serverLoad, generatorLoad, othersLoad }: Busy): string {
  return (
    `busy: server ${percent(serverLoad)}, generator ${percent(generatorLoad)}, ` +
    `others ${percent(othersLoad)}`
  );
}

function percent(share: number): string {
  return `${Math.round(share * 100)}%`;
}
