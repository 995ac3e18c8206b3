/** What the hub promises, and which of it a run did not show. */
import { DEFAULT_POLICY } from "../../src/core/policy.ts";
import type { VersionRatio } from "./compare-versions.ts";
import type { TargetSummary } from "./summary.ts";

interface BySize {
  readonly upTo: number;
  readonly goal: number;
}

/** Raw: deliveries per CPU second under load, as a multiple of the floor's, by subscribers. */
const LEAST_RAW_THROUGHPUT: readonly BySize[] = [
  { upTo: 300, goal: 2.7 },
  { upTo: Number.POSITIVE_INFINITY, goal: 3.2 },
];
/** Stream: deliveries per second, as a multiple of nchan's, by subscribers. */
const LEAST_STREAM_THROUGHPUT: readonly BySize[] = [
  { upTo: 300, goal: 3 },
  { upTo: Number.POSITIVE_INFINITY, goal: 8 },
];
const MOST_STREAM_MICROS_PER_DELIVERY = 0.6;
/** Messages per second into a durable log, by messages per frame. */
const LEAST_INGEST: readonly BySize[] = [
  { upTo: 20, goal: 120_000 },
  { upTo: Number.POSITIVE_INFINITY, goal: 200_000 },
];
/** Of the default delay at 50 messages a second. */
const MOST_HISTORY_P50_MS = 25;
const MOST_HISTORY_ROWS = 20;
/** Milliseconds of p50 that a log costs whose messages wait for no others. */
const MOST_ADDED_MS = 5;
const MOST_P50_RATIO = 1.15;
const MOST_MEMORY_RATIO = 1.15;
const MOST_STORM_QUERIES = 1;
/** p99 of others' deliveries and connects beside a flood, as a multiple of that without one. */
const MOST_FLOOD_RATIO = 3;
const MOST_BESIDE_MS = 50;
/** Processor time of a connect by a key that is known, as a multiple of the floor's upgrade. */
const MOST_CONNECT_RATIO = 2;
/** Messages per CPU second, as a multiple of the floor's posts of one message, by messages per post. */
const LEAST_POSTED: readonly BySize[] = [
  { upTo: 1, goal: 0.55 },
  { upTo: Number.POSITIVE_INFINITY, goal: 20 },
];
/** Milliseconds from a revocation to the last Close frame, by awake topics that the key is on... */
const MOST_KICK_MS: readonly BySize[] = [
  { upTo: 100, goal: 1000 },
  { upTo: Number.POSITIVE_INFINITY, goal: 2000 },
];
/** ... or so many times what as many bare calls take. */
const MOST_KICK_RATIO = 2;

/** One sentence per missed goal; empty when all that was measured is met. */
export function missedGoals(summaries: readonly TargetSummary[]): string[] {
  const own = summaries.filter(({ target }) => target in GOALS);
  if (own.length === 0) return ["The hub was not measured"];
  return own.flatMap((summary) =>
    (GOALS[summary.target] ?? []).flatMap((missed) =>
      missed(summary).map((sentence) => `${summary.target}: ${sentence}`),
    ),
  );
}

/** One sentence per ratio that is worse, or per variant of which nothing was compared. */
export function worseRatios(ratios: readonly VersionRatio[], variants: Iterable<string>): string[] {
  const judged = ratios.filter(({ interval }) => interval !== undefined);
  const missing = [...variants].filter((name) => !judged.some(({ variant }) => variant === name));
  return [
    ...missing.map(
      (name) => `${name}: no ratio can be judged, with fewer than 6 rounds or no target`,
    ),
    ...judged.flatMap(({ ratio, figure, median, interval, isWorse }) =>
      isWorse
        ? `${ratio}: ${median.toFixed(3)} x of ${figure}, interval ${interval?.low.toFixed(3)} to ${interval?.high.toFixed(3)}`
        : [],
    ),
  ];
}

type Goal = (summary: TargetSummary) => string[];

const GOALS: Readonly<Record<string, readonly Goal[]>> = {
  hub: [rawThroughput, latencyToFloor, memoryToFloor, connect, post, kick, flood, ends],
  // Joining has no goal in time: a hole, a repeat or a change of order has failed the run already.
  "hub-durable": [],
  stream: [streamThroughput, latencyToHub, storm],
  "stream-durable": [streamThroughput, history, ingest, storm],
};

function rawThroughput({ throughput }: TargetSummary): string[] {
  return throughput.flatMap(({ subscribers, deliveriesPerCpuSecond }) => {
    const goal = goalAt(LEAST_RAW_THROUGHPUT, subscribers);
    const ratio = deliveriesPerCpuSecond.toFloor;
    if (ratio !== undefined && ratio >= goal) return [];
    return [
      `${times(ratio)} the floor's deliveries per CPU second at ${subscribers} subscribers, not ${goal} x`,
    ];
  });
}

function streamThroughput({ throughput }: TargetSummary): string[] {
  return throughput.flatMap(({ subscribers, deliveriesPerSecond, cpuMicrosPerDelivery }) => {
    const missed: string[] = [];
    const goal = goalAt(LEAST_STREAM_THROUGHPUT, subscribers);
    const ratio = deliveriesPerSecond.toNchan;
    if (ratio === undefined || ratio < goal) {
      missed.push(
        `${times(ratio)} nchan's deliveries per second at ${subscribers} subscribers, not ${goal} x`,
      );
    }
    if (cpuMicrosPerDelivery > MOST_STREAM_MICROS_PER_DELIVERY) {
      missed.push(
        `${cpuMicrosPerDelivery.toFixed(2)} µs per delivery at ${subscribers} subscribers, ` +
          `more than ${MOST_STREAM_MICROS_PER_DELIVERY} µs`,
      );
    }
    return missed;
  });
}

function latencyToFloor({ p50Ms }: TargetSummary): string[] {
  if (p50Ms === undefined || (p50Ms.toFloor ?? Infinity) <= MOST_P50_RATIO) return [];
  return [`p50 latency is ${times(p50Ms.toFloor)} the floor's, more than ${MOST_P50_RATIO} x`];
}

function latencyToHub({ p50Ms }: TargetSummary): string[] {
  if (p50Ms === undefined || (p50Ms.toHub ?? Infinity) <= MOST_P50_RATIO) return [];
  return [`p50 latency is ${times(p50Ms.toHub)} the raw hub's, more than ${MOST_P50_RATIO} x`];
}

function memoryToFloor({ kilobytesPerSocket: memory }: TargetSummary): string[] {
  if (memory === undefined || (memory.toFloor ?? Infinity) <= MOST_MEMORY_RATIO) return [];
  return [
    `memory per idle socket is ${times(memory.toFloor)} the floor's, more than ${MOST_MEMORY_RATIO} x`,
  ];
}

function connect({ microsPerConnect: micros }: TargetSummary): string[] {
  if (micros === undefined || (micros.toFloor ?? Infinity) < MOST_CONNECT_RATIO) return [];
  return [
    `a connect costs ${times(micros.toFloor)} the floor's, not less than ${MOST_CONNECT_RATIO} x`,
  ];
}

function post({ post: rows }: TargetSummary): string[] {
  return rows.flatMap(({ name, messagesPerPost, messagesPerCpuSecond }) => {
    const goal = goalAt(LEAST_POSTED, messagesPerPost);
    const ratio = messagesPerCpuSecond.toFloor;
    // An exclusive topic stores its grace: stated apart.
    if (name.endsWith("exclusive") || (ratio !== undefined && ratio >= goal)) return [];
    return [`${times(ratio)} the floor's posts per CPU second, not ${goal} x (posts of ${name})`];
  });
}

function kick({ kick: rows }: TargetSummary): string[] {
  return rows.flatMap(({ scenario, lastMs }) => {
    const goal = goalAt(MOST_KICK_MS, scenario.holders);
    const isMet = lastMs.value <= goal || (lastMs.toFloor ?? Infinity) <= MOST_KICK_RATIO;
    if (scenario.isAsleep || isMet) return [];
    return [
      `the last publisher of a key revoked on ${scenario.name} topics lives on for ` +
        `${Math.round(lastMs.value)} ms, not ${goal} ms, ${times(lastMs.toFloor)} the bare calls`,
    ];
  });
}

function history({ history: rows }: TargetSummary): string[] {
  return rows.flatMap(({ scenario, p50Ms, rowsPerSecond }) => {
    const { delayMs, messagesPerSecond } = scenario;
    const missed: string[] = [];
    if (delayMs === DEFAULT_POLICY.historyDelayMs && messagesPerSecond === 50) {
      if (p50Ms > MOST_HISTORY_P50_MS) {
        missed.push(`p50 is ${p50Ms.toFixed(1)} ms, not ${MOST_HISTORY_P50_MS} (${scenario.name})`);
      }
      if (rowsPerSecond > MOST_HISTORY_ROWS) {
        missed.push(
          `${rowsPerSecond.toFixed(1)} rows/s, not ${MOST_HISTORY_ROWS} (${scenario.name})`,
        );
      }
    }
    const without = rows.find(
      (row) =>
        row.scenario.delayMs === null && row.scenario.messagesPerSecond === messagesPerSecond,
    );
    const addedMs = p50Ms - (without?.p50Ms ?? Number.NaN);
    if (delayMs === 0 && !(addedMs <= MOST_ADDED_MS)) {
      missed.push(`p50 is ${addedMs.toFixed(1)} ms over that without history (${scenario.name})`);
    }
    return missed;
  });
}

function flood({ flood: [none, ...rows] }: TargetSummary): string[] {
  if (none === undefined) return [];
  return rows.flatMap((row) => {
    const ratios = [
      ["deliveries", row.deliveryP99Ms / none.deliveryP99Ms],
      ["connects", row.connectP99Ms / none.connectP99Ms],
    ] as const;
    return ratios.flatMap(([what, ratio]) =>
      ratio <= MOST_FLOOD_RATIO
        ? []
        : [
            `p99 of others' ${what} is ${times(ratio)} that without a flood, ` +
              `not ${MOST_FLOOD_RATIO} x (${row.scenario.name})`,
          ],
    );
  });
}

function ingest({ ingest: rows }: TargetSummary): string[] {
  return rows.flatMap(({ messagesPerFrame, messagesPerSecond }) => {
    const goal = goalAt(LEAST_INGEST, messagesPerFrame);
    if (messagesPerSecond >= goal) return [];
    return [
      `${Math.round(messagesPerSecond)} messages/s in frames of ${messagesPerFrame}, not ${goal}`,
    ];
  });
}

function storm({ storm: result }: TargetSummary): string[] {
  if (result === undefined) return [];
  const missed: string[] = [];
  if (result.lost > 0) missed.push(`${result.lost} messages were lost in the storm`);
  if (result.repeated > 0) missed.push(`${result.repeated} messages came twice in the storm`);
  if (result.leftBehind > 0) {
    missed.push(`${result.leftBehind} subscribers were left behind in the storm (${result.fault})`);
  }
  const queries = result.databaseQueries ?? Number.NaN;
  if (!(queries <= MOST_STORM_QUERIES)) {
    missed.push(`${queries} database queries in the storm, more than ${MOST_STORM_QUERIES}`);
  }
  return missed;
}

function ends({ ends: rows }: TargetSummary): string[] {
  const slow = rows.filter(({ p99Ms }) => !(p99Ms <= MOST_BESIDE_MS));
  return slow.map(
    ({ scenario, p99Ms }) =>
      `${p99Ms.toFixed(1)} ms (p99) beside a topic's ${scenario}, not ${MOST_BESIDE_MS}`,
  );
}

function goalAt(goals: readonly BySize[], size: number): number {
  return goals.find(({ upTo }) => size <= upTo)?.goal ?? Number.NaN;
}

/** Says what is missing where there is no ratio, since a goal that was not measured is not met. */
function times(ratio: number | undefined): string {
  return ratio === undefined ? "an unknown multiple of" : `${ratio.toFixed(2)} x`;
}
