/** A server that can be measured. */
import type { Endpoint, PostScenario, RevocableKey } from "../load/load-command.ts";
import type { Measurement } from "../step.ts";

export interface RunningTarget {
  /** The process whose tree is measured. */
  readonly pid: number;
  /** Answers a GET with the number of queries to the target's database; absent = it has none. */
  readonly queryCountUrl?: string;
  /** A topic of a domain whose log has that `history_delay_ms`, and the rows of all logs; absent = it has none. */
  readonly history?: {
    endpoint(delayMs: number): Promise<Endpoint>;
    countRows(): number;
  };
  /** What revokes keys, and as many new keys that may be; absent = it cannot. */
  readonly revocation?: (keys: number) => Promise<Revocation>;
  /** What can be posted, to topics nobody has used yet; absent = nothing. */
  readonly posts?: () => readonly PostScenario[];
  /** A GET of it with a number appended has one object call that many; absent = it cannot. */
  readonly callsPath?: string;
  /** A topic nobody has used yet in this run of the server. */
  endpoint(measurement: Measurement): Endpoint;
  /** Throws when the server has died. */
  assertAlive(): void;
  stop(): Promise<void>;
}

export interface Revocation {
  readonly adminToken: string;
  readonly domain: string;
  /** One for the domain that stays. */
  readonly residentKey: string;
  readonly keys: readonly RevocableKey[];
}

export interface Target {
  readonly name: string;
  /** What can be measured of it. */
  readonly measurements: readonly Measurement[];
  /** Why the target cannot run on this machine; undefined when it can. */
  unavailable(): string | undefined;
  start(): Promise<RunningTarget>;
}

/** What any server can do that sends messages to subscribers. */
export const BROADCAST: readonly Measurement[] = ["memory", "latency", "throughput"];

/** The name of the posts that all others are compared with: of one message each. */
export const ONE_MESSAGE = "one message";
