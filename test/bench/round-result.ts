/** What one target did in one round. */
import type { ResultOf } from "./load/load-command.ts";

export interface RoundResult {
  readonly target: string;
  readonly round: number;
  /** By number of subscribers. */
  readonly throughput: Map<number, ResultOf["throughput"]>;
  /** By messages per frame. */
  readonly ingest: Map<number, ResultOf["ingest"]>;
  latency?: ResultOf["latency"];
  memory?: ResultOf["memory"];
  join?: ResultOf["join"];
  storm?: ResultOf["storm"];
  connect?: ResultOf["connect"];
  kick?: ResultOf["kick"];
}

export function emptyRound(target: string, round: number): RoundResult {
  return { target, round, throughput: new Map(), ingest: new Map() };
}
