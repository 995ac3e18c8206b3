/** A server that can be measured. */
import type { Endpoint } from "../load/load-command.ts";

export interface RunningTarget {
  /** The process whose tree is measured. */
  readonly pid: number;
  /** A topic nobody has used yet in this run of the server. */
  endpoint(): Endpoint;
  /** Throws when the server has died. */
  assertAlive(): void;
  stop(): Promise<void>;
}

export interface Target {
  readonly name: string;
  /** Why the target cannot run on this machine; undefined when it can. */
  unavailable(): string | undefined;
  start(): Promise<RunningTarget>;
}
