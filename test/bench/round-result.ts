/** What one target did in one round. */
import type { HistoryRow } from "./measure-history.ts";
import type { CallsResult, FloodResult, KickResult, ResultOf } from "./load/load-command.ts";

export interface RoundResult {
  readonly target: string;
  readonly round: number;
  /** By number of subscribers. */
  readonly throughput: Map<number, ResultOf["throughput"]>;
  /** By messages per frame. */
  readonly ingest: Map<number, ResultOf["ingest"]>;
  /** By scenario. */
  readonly post: Map<string, ResultOf["post"]>;
  /** By scenario; of the floor as many bare calls. */
  readonly kick: Map<string, KickResult | CallsResult>;
  /** By scenario. */
  readonly ends: Map<string, ResultOf["ends"]>;
  /** By scenario. */
  readonly history: Map<string, HistoryRow>;
  /** By scenario. */
  readonly flood: Map<string, FloodResult>;
  latency?: ResultOf["latency"];
  memory?: ResultOf["memory"];
  join?: ResultOf["join"];
  storm?: ResultOf["storm"];
  connect?: ResultOf["connect"];
}

export function emptyRound(target: string, round: number): RoundResult {
  return {
    target,
    round,
    throughput: new Map(),
    ingest: new Map(),
    post: new Map(),
    kick: new Map(),
    ends: new Map(),
    history: new Map(),
    flood: new Map(),
  };
}
