/** All rounds of a run as one row per target and measurement: medians, and what they compare with. */
import { type Pick, medianOf, ratioOf } from "./compare-rounds.ts";
import type { KickScenario } from "./kick-scenarios.ts";
import type {
  EndsResult,
  FloodResult,
  KickResult,
  ResultOf,
  StormResult,
} from "./load/load-command.ts";
import type { HistoryRow } from "./measure-history.ts";
import { ONE_MESSAGE } from "./targets/target.ts";
import type { RoundResult } from "./round-result.ts";

/** A number and what it is relative to others'; undefined to whom was not measured. */
export interface Compared {
  readonly value: number;
  readonly toFloor?: number | undefined;
  readonly toNchan?: number | undefined;
  readonly toHub?: number | undefined;
}

export interface ThroughputRow {
  readonly subscribers: number;
  readonly window: number;
  readonly deliveriesPerSecond: Compared;
  readonly cpuMicrosPerDelivery: number;
  readonly deliveriesPerCpuSecond: Compared;
  readonly serverLoad: number;
  readonly generatorLoad: number;
  readonly othersLoad: number;
}

export interface IngestRow {
  readonly messagesPerFrame: number;
  readonly messagesPerSecond: number;
  readonly cpuMicrosPerMessage: number;
  readonly serverLoad: number;
  readonly generatorLoad: number;
  readonly othersLoad: number;
}

export interface JoinRow {
  readonly subscribers: number;
  readonly messagesInLog: number;
  readonly medianCurrentMs: number;
  readonly lastCurrentMs: number;
}

export interface PostRow {
  readonly name: string;
  readonly messagesPerPost: number;
  readonly cpuMicrosPerPost: number;
  readonly postsPerSecond: number;
  /** To the floor: to its posts of one message. */
  readonly messagesPerCpuSecond: Compared;
}

/** Of the floor: bare calls, as many as the key has holders. */
export interface KickRow {
  readonly scenario: KickScenario;
  readonly p50Ms: number | undefined;
  readonly p99Ms: number | undefined;
  readonly lastMs: Compared;
  readonly cpuMicrosPerHolder: number;
  readonly awakeTopics: number | undefined;
}

export interface TargetSummary {
  readonly target: string;
  readonly throughput: readonly ThroughputRow[];
  readonly ingest: readonly IngestRow[];
  /** Undefined what this run did not measure. */
  readonly p50Ms: Compared | undefined;
  readonly p99Ms: Compared | undefined;
  readonly kilobytesPerSocket: Compared | undefined;
  /** Processor time of the server's. */
  readonly microsPerConnect: Compared | undefined;
  readonly post: readonly PostRow[];
  readonly kick: readonly KickRow[];
  readonly history: readonly HistoryRow[];
  readonly flood: readonly FloodResult[];
  readonly join: JoinRow | undefined;
  readonly storm: StormResult | undefined;
  readonly ends: readonly EndsResult[];
}

export function summarize(results: readonly RoundResult[]): TargetSummary[] {
  const names = [...new Set(results.map(({ target }) => target))];
  return names.map((target) => {
    const compare = (pick: Pick): Compared | undefined => compareAll(results, target, pick);
    const own = results.filter((result) => result.target === target);
    return {
      target,
      throughput: throughputRows(results, target),
      ingest: ingestRows(own, target),
      p50Ms: compare(({ latency }) => latency?.p50Ms),
      p99Ms: compare(({ latency }) => latency?.p99Ms),
      kilobytesPerSocket: compare(({ memory }) =>
        memory === undefined ? undefined : memory.bytesPerSocket / 1024,
      ),
      microsPerConnect: compare(({ connect }) => connect?.cpuMicrosPerConnect),
      post: postRows(results, target),
      kick: kickRows(results, target),
      history: historyRows(own, target),
      flood: floodRows(own, target),
      join: joinRow(own, target),
      storm: own.find(({ storm }) => storm !== undefined)?.storm,
      ends: endsRows(own, target),
    };
  });
}

function throughputRows(results: readonly RoundResult[], target: string): ThroughputRow[] {
  const own = results.filter((result) => result.target === target);
  const rows: ThroughputRow[] = [];
  for (const [subscribers, { window }] of own[0]?.throughput ?? []) {
    const of =
      (pick: (result: ResultOf["throughput"]) => number): Pick =>
      ({ throughput }) => {
        const measured = throughput.get(subscribers);
        return measured === undefined ? undefined : pick(measured);
      };
    const middle = (pick: (result: ResultOf["throughput"]) => number): number =>
      medianOf(own, target, of(pick)) ?? Number.NaN;
    const perSecond = of((result) => result.deliveriesPerSecond);
    const perCpuSecond = of((result) => 1e6 / result.cpuMicrosPerDelivery);
    rows.push({
      subscribers,
      window,
      deliveriesPerSecond: compareAll(results, target, perSecond) ?? { value: Number.NaN },
      cpuMicrosPerDelivery: middle((result) => result.cpuMicrosPerDelivery),
      deliveriesPerCpuSecond: compareAll(results, target, perCpuSecond) ?? { value: Number.NaN },
      serverLoad: middle((result) => result.serverLoad),
      generatorLoad: middle((result) => result.generatorLoad),
      othersLoad: middle((result) => result.othersLoad),
    });
  }
  return rows;
}

function ingestRows(own: readonly RoundResult[], target: string): IngestRow[] {
  return [...(own[0]?.ingest.keys() ?? [])].map((messagesPerFrame) => {
    const middle = (pick: (result: ResultOf["ingest"]) => number): number =>
      medianOf(own, target, ({ ingest }) => {
        const measured = ingest.get(messagesPerFrame);
        return measured === undefined ? undefined : pick(measured);
      }) ?? Number.NaN;
    return {
      messagesPerFrame,
      messagesPerSecond: middle((result) => result.messagesPerSecond),
      cpuMicrosPerMessage: middle((result) => result.cpuMicrosPerMessage),
      serverLoad: middle((result) => result.serverLoad),
      generatorLoad: middle((result) => result.generatorLoad),
      othersLoad: middle((result) => result.othersLoad),
    };
  });
}

function postRows(results: readonly RoundResult[], target: string): PostRow[] {
  const own = results.filter((result) => result.target === target);
  return [...(own[0]?.post.values() ?? [])].map(({ scenario }) => {
    const { name, messagesPerPost } = scenario;
    const middle = (pick: (result: ResultOf["post"]) => number): number =>
      medianOf(own, target, ({ post }) => {
        const measured = post.get(name);
        return measured === undefined ? undefined : pick(measured);
      }) ?? Number.NaN;
    const perCpuSecond: Pick = ({ post }) => {
      const measured = post.get(name) ?? post.get(ONE_MESSAGE);
      if (measured === undefined) return undefined;
      return (1e6 / measured.cpuMicrosPerPost) * measured.scenario.messagesPerPost;
    };
    return {
      name,
      messagesPerPost,
      cpuMicrosPerPost: middle((result) => result.cpuMicrosPerPost),
      postsPerSecond: middle((result) => result.postsPerSecond),
      messagesPerCpuSecond: compareAll(results, target, perCpuSecond) ?? { value: Number.NaN },
    };
  });
}

function kickRows(results: readonly RoundResult[], target: string): KickRow[] {
  const own = results.filter((result) => result.target === target);
  return [...(own[0]?.kick.entries() ?? [])].map(([name, { scenario }]) => {
    const ofKeys = (pick: (result: KickResult) => number): number | undefined =>
      medianOf(own, target, ({ kick }) => {
        const measured = kick.get(name);
        return measured !== undefined && "samples" in measured ? pick(measured) : undefined;
      });
    const lastMs: Pick = ({ kick }) => kick.get(name)?.lastMs;
    const cpuMicros: Pick = ({ kick }) => kick.get(name)?.cpuMicrosPerHolder;
    return {
      scenario,
      p50Ms: ofKeys((result) => result.p50Ms),
      p99Ms: ofKeys((result) => result.p99Ms),
      lastMs: compareAll(results, target, lastMs) ?? { value: Number.NaN },
      cpuMicrosPerHolder: medianOf(own, target, cpuMicros) ?? Number.NaN,
      awakeTopics: ofKeys((result) => result.awakeTopics),
    };
  });
}

function historyRows(own: readonly RoundResult[], target: string): HistoryRow[] {
  return [...(own[0]?.history.entries() ?? [])].map(([name, { scenario }]) => {
    const middle = (pick: (row: HistoryRow) => number): number =>
      medianOf(own, target, ({ history }) => {
        const measured = history.get(name);
        return measured === undefined ? undefined : pick(measured);
      }) ?? Number.NaN;
    return {
      scenario,
      p50Ms: middle((row) => row.p50Ms),
      p99Ms: middle((row) => row.p99Ms),
      rowsPerSecond: middle((row) => row.rowsPerSecond),
    };
  });
}

function floodRows(own: readonly RoundResult[], target: string): FloodResult[] {
  return [...(own[0]?.flood.entries() ?? [])].map(([name, { scenario }]) => {
    const middle = (pick: (row: FloodResult) => number): number =>
      medianOf(own, target, ({ flood }) => {
        const measured = flood.get(name);
        return measured === undefined ? undefined : pick(measured);
      }) ?? Number.NaN;
    return {
      scenario,
      floodPerSecond: middle((row) => row.floodPerSecond),
      deliveryP50Ms: middle((row) => row.deliveryP50Ms),
      deliveryP99Ms: middle((row) => row.deliveryP99Ms),
      connectP50Ms: middle((row) => row.connectP50Ms),
      connectP99Ms: middle((row) => row.connectP99Ms),
    };
  });
}

function endsRows(own: readonly RoundResult[], target: string): EndsResult[] {
  return [...(own[0]?.ends.values() ?? [])].map(({ scenario, subscribers }) => {
    const middle = (pick: (row: EndsResult) => number): number =>
      medianOf(own, target, ({ ends }) => {
        const measured = ends.get(scenario);
        return measured === undefined ? undefined : pick(measured);
      }) ?? Number.NaN;
    return {
      scenario,
      subscribers,
      seconds: middle((row) => row.seconds),
      p50Ms: middle((row) => row.p50Ms),
      p99Ms: middle((row) => row.p99Ms),
      maxMs: middle((row) => row.maxMs),
    };
  });
}

function joinRow(own: readonly RoundResult[], target: string): JoinRow | undefined {
  const first = own[0]?.join;
  if (first === undefined) return undefined;
  const { subscribers, messagesInLog } = first;
  return {
    subscribers,
    messagesInLog,
    medianCurrentMs: medianOf(own, target, ({ join }) => join?.medianCurrentMs) ?? Number.NaN,
    lastCurrentMs: medianOf(own, target, ({ join }) => join?.lastCurrentMs) ?? Number.NaN,
  };
}

function compareAll(
  results: readonly RoundResult[],
  target: string,
  pick: Pick,
): Compared | undefined {
  const value = medianOf(results, target, pick);
  if (value === undefined) return undefined;
  return {
    value,
    toFloor: ratioOf(results, { target, to: "floor" }, pick),
    toNchan: ratioOf(results, { target, to: "nchan" }, pick),
    toHub: ratioOf(results, { target, to: "hub" }, pick),
  };
}
