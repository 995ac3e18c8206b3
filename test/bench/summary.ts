/** Medians over the rounds, and each target against the floor of the same round. */
import type { LatencyResult, MemoryResult, ThroughputResult } from "./load/load-command.ts";
import { median } from "./quantile.ts";

/** What one target did in one round. */
export interface RoundResult {
  readonly target: string;
  readonly round: number;
  readonly throughput: Map<number, ThroughputResult>;
  latency?: LatencyResult;
  memory?: MemoryResult;
}

/** A number and what it is relative to the floor's, undefined when the floor was not measured. */
export interface Compared {
  readonly value: number;
  readonly toFloor?: number;
}

export interface ThroughputRow {
  readonly subscribers: number;
  readonly deliveriesPerSecond: number;
  readonly cpuMicrosPerDelivery: number;
  readonly deliveriesPerCpuSecond: Compared;
  readonly serverLoad: number;
  readonly generatorLoad: number;
  readonly othersLoad: number;
}

export interface TargetSummary {
  readonly target: string;
  readonly throughput: readonly ThroughputRow[];
  /** Undefined what this run did not measure. */
  readonly p50Ms: Compared | undefined;
  readonly p99Ms: Compared | undefined;
  readonly kilobytesPerSocket: Compared | undefined;
}

const FLOOR = "floor";

export function summarize(results: readonly RoundResult[]): TargetSummary[] {
  const names = [...new Set(results.map(({ target }) => target))];
  return names.map((target) => {
    const compare = (pick: (result: RoundResult) => number | undefined): Compared | undefined =>
      compareRounds(results, target, pick);
    return {
      target,
      throughput: throughputRows(results, target),
      p50Ms: compare(({ latency }) => latency?.p50Ms),
      p99Ms: compare(({ latency }) => latency?.p99Ms),
      kilobytesPerSocket: compare(({ memory }) =>
        memory === undefined ? undefined : memory.bytesPerSocket / 1024,
      ),
    };
  });
}

function throughputRows(results: readonly RoundResult[], target: string): ThroughputRow[] {
  const own = results.filter((result) => result.target === target);
  const rows: ThroughputRow[] = [];
  for (const subscribers of own[0]?.throughput.keys() ?? []) {
    const middle = (pick: (result: ThroughputResult) => number): number =>
      median(own.flatMap(({ throughput }) => throughput.get(subscribers) ?? []).map(pick));
    const perCpuSecond = compareRounds(results, target, ({ throughput }) => {
      const measured = throughput.get(subscribers);
      return measured === undefined ? undefined : 1e6 / measured.cpuMicrosPerDelivery;
    });
    if (perCpuSecond === undefined) continue;
    rows.push({
      subscribers,
      deliveriesPerSecond: middle((result) => result.deliveriesPerSecond),
      cpuMicrosPerDelivery: middle((result) => result.cpuMicrosPerDelivery),
      deliveriesPerCpuSecond: perCpuSecond,
      serverLoad: middle((result) => result.serverLoad),
      generatorLoad: middle((result) => result.generatorLoad),
      othersLoad: middle((result) => result.othersLoad),
    });
  }
  return rows;
}

function compareRounds(
  results: readonly RoundResult[],
  target: string,
  pick: (result: RoundResult) => number | undefined,
): Compared | undefined {
  const values: number[] = [];
  const ratios: number[] = [];
  for (const result of results) {
    if (result.target !== target) continue;
    const value = pick(result);
    if (value === undefined) continue;
    values.push(value);
    const floor = results.find((other) => other.target === FLOOR && other.round === result.round);
    const floorValue = floor === undefined ? undefined : pick(floor);
    if (floorValue !== undefined) ratios.push(value / floorValue);
  }
  if (values.length === 0) return undefined;
  const value = median(values);
  return ratios.length === 0 ? { value } : { value, toFloor: median(ratios) };
}
