/** What the coordinator asks of the load generator, and what comes back. Crosses a process boundary. */
import type { DialectName } from "./dialect.ts";

/** Where and how to reach a topic of the server under test. */
export interface Endpoint {
  readonly port: number;
  readonly publisherPath: string;
  readonly subscriberPath: string;
  readonly dialect: DialectName;
}

interface Load {
  readonly endpoint: Endpoint;
  readonly subscribers: number;
  readonly messageBytes: number;
  /** The server's own process; its descendants are found by the generator. */
  readonly serverPid: number;
}

export interface ThroughputCommand extends Load {
  readonly kind: "throughput";
  readonly warmupSeconds: number;
  readonly seconds: number;
  readonly window: number;
}

export interface LatencyCommand extends Load {
  readonly kind: "latency";
  readonly warmupSeconds: number;
  readonly seconds: number;
  readonly messagesPerSecond: number;
}

export interface MemoryCommand extends Load {
  readonly kind: "memory";
  readonly warmupSubscribers: number;
  readonly settleSeconds: number;
}

export type LoadCommand = ThroughputCommand | LatencyCommand | MemoryCommand;

export interface ThroughputResult {
  readonly deliveriesPerSecond: number;
  readonly cpuMicrosPerDelivery: number;
  /** Share of one processor the server used; well below 1 means that it was not the bottleneck. */
  readonly serverLoad: number;
  readonly generatorLoad: number;
  /** Processors that everything else on the machine used: it disturbs, so the report tells. */
  readonly othersLoad: number;
  readonly messages: number;
}

export interface LatencyResult {
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly samples: number;
  readonly serverLoad: number;
}

export interface MemoryResult {
  readonly bytesPerSocket: number;
}

export interface ResultOf {
  readonly throughput: ThroughputResult;
  readonly latency: LatencyResult;
  readonly memory: MemoryResult;
}

export type LoadReply<Result> =
  | { readonly ok: true; readonly result: Result }
  | { readonly ok: false; readonly reason: string };

// Both ends are this program, so telling a command and a reply from noise is check enough.

export function isLoadCommand(value: unknown): value is LoadCommand {
  return typeof value === "object" && value !== null && "kind" in value;
}

export function isLoadReply<Result>(value: unknown): value is LoadReply<Result> {
  return typeof value === "object" && value !== null && "ok" in value;
}
