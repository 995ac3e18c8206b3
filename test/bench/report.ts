/** The result for people: Markdown tables under a line of facts that do not depend on the day. */
import { TOLERANCE, type VersionRatio } from "./compare-versions.ts";
import { markdownTable } from "./markdown-table.ts";
import type { Compared, TargetSummary } from "./summary.ts";

/** Of 730 hours. */
const SECONDS_A_MONTH = 2_628_000;
/** Cloudflare's price of rows written, beyond the 50 million a month that the paid plan includes. */
const DOLLARS_A_MILLION_ROWS = 1;

export interface Facts {
  readonly node: string;
  readonly workerd: string;
  readonly processors: number;
  readonly isPinned: boolean;
  readonly messageBytes: number;
  readonly rounds: number;
  readonly secondsPerMeasurement: number;
}

interface Table {
  readonly heads: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

export function formatReport(
  facts: Facts,
  summaries: readonly TargetSummary[],
  ratios: readonly VersionRatio[],
): string {
  const ofTargets = [
    throughput,
    latencyAndMemory,
    history,
    connect,
    post,
    kick,
    ingest,
    join,
    storm,
    flood,
    ends,
  ];
  const tables = [...ofTargets.map((build) => build(summaries)), versionRatios(ratios)]
    .filter(({ rows }) => rows.length > 0)
    .map(({ heads, rows }) => markdownTable(heads, rows));
  return [formatFacts(facts), ...tables].join("\n\n");
}

function formatFacts(facts: Facts): string {
  return [
    `Node ${facts.node}`,
    `workerd ${facts.workerd}`,
    `${facts.processors} processors${facts.isPinned ? ", server and load pinned to one each" : ""}`,
    `${facts.messageBytes}-byte messages`,
    `median of ${facts.rounds} rounds of ${facts.secondsPerMeasurement} s`,
  ].join("; ");
}

function throughput(summaries: readonly TargetSummary[]): Table {
  const heads = [
    "target",
    "subscribers",
    "messages in flight",
    "deliveries/s",
    "to nchan",
    "CPU µs per delivery",
    "deliveries per CPU second",
    "to the floor",
  ];
  const rows = summaries.flatMap((summary) =>
    summary.throughput.map((row) => [
      summary.target,
      grouped(row.subscribers),
      grouped(row.window),
      grouped(threeDigits(row.deliveriesPerSecond.value)),
      ratio(row.deliveriesPerSecond.toNchan),
      row.cpuMicrosPerDelivery.toPrecision(3),
      grouped(threeDigits(row.deliveriesPerCpuSecond.value)),
      ratio(row.deliveriesPerCpuSecond.toFloor),
    ]),
  );
  return { heads, rows };
}

function latencyAndMemory(summaries: readonly TargetSummary[]): Table {
  const floor = "to the floor";
  const heads = [
    "target",
    "p50 ms",
    floor,
    "to the hub",
    "p99 ms",
    floor,
    "KB per idle socket",
    floor,
  ];
  const rows = summaries
    .filter(({ p50Ms, kilobytesPerSocket }) => (p50Ms ?? kilobytesPerSocket) !== undefined)
    .map(({ target, p50Ms, p99Ms, kilobytesPerSocket }) => [
      target,
      fixed(p50Ms, 2),
      ratio(p50Ms?.toFloor),
      ratio(p50Ms?.toHub),
      fixed(p99Ms, 2),
      ratio(p99Ms?.toFloor),
      fixed(kilobytesPerSocket, 1),
      ratio(kilobytesPerSocket?.toFloor),
    ]);
  return { heads, rows };
}

function history(summaries: readonly TargetSummary[]): Table {
  const heads = [
    "history",
    "`history_delay_ms`",
    "messages/s",
    "p50 ms",
    "p99 ms",
    "rows/s",
    "million rows a month",
    "$ a month",
  ];
  const rows = summaries.flatMap((summary) =>
    summary.history.map(({ scenario, p50Ms, p99Ms, rowsPerSecond }) => {
      const millions = (rowsPerSecond * SECONDS_A_MONTH) / 1e6;
      return [
        summary.target,
        scenario.delayMs === null ? "no history" : String(scenario.delayMs),
        grouped(scenario.messagesPerSecond),
        p50Ms.toFixed(1),
        p99Ms.toFixed(1),
        rowsPerSecond.toFixed(1),
        millions.toFixed(1),
        (millions * DOLLARS_A_MILLION_ROWS).toFixed(0),
      ];
    }),
  );
  return { heads, rows };
}

function connect(summaries: readonly TargetSummary[]): Table {
  const heads = ["connect by a known key", "CPU µs", "to the floor"];
  const rows = summaries.flatMap(({ target, microsPerConnect: micros }) =>
    micros === undefined ? [] : [[target, fixed(micros, 0), ratio(micros.toFloor)]],
  );
  return { heads, rows };
}

function kick(summaries: readonly TargetSummary[]): Table {
  const heads = [
    "revoked key",
    "on live topics",
    "awake",
    "closed after: p50 ms",
    "p99 ms",
    "last, ms",
    "to bare calls",
    "CPU µs per topic",
  ];
  const rows = summaries.flatMap((summary) =>
    summary.kick.map((row) => [
      summary.target === "floor" ? "floor (bare calls)" : summary.target,
      row.scenario.name,
      row.awakeTopics === undefined ? "" : grouped(row.awakeTopics),
      row.p50Ms?.toFixed(1) ?? "",
      row.p99Ms?.toFixed(1) ?? "",
      row.lastMs.value.toFixed(1),
      ratio(row.lastMs.toFloor),
      grouped(threeDigits(row.cpuMicrosPerHolder)),
    ]),
  );
  return { heads, rows };
}

function ingest(summaries: readonly TargetSummary[]): Table {
  const heads = ["ingest", "messages per frame", "messages/s", "CPU µs per message"];
  const rows = summaries.flatMap((summary) =>
    summary.ingest.map((row) => [
      summary.target,
      grouped(row.messagesPerFrame),
      grouped(threeDigits(row.messagesPerSecond)),
      row.cpuMicrosPerMessage.toPrecision(3),
    ]),
  );
  return { heads, rows };
}

function join(summaries: readonly TargetSummary[]): Table {
  const heads = ["late join", "subscribers", "messages in the log", "half current, ms", "all, ms"];
  const rows = summaries.flatMap(({ target, join: row }) =>
    row === undefined
      ? []
      : [
          [
            target,
            grouped(row.subscribers),
            grouped(row.messagesInLog),
            grouped(threeDigits(row.medianCurrentMs)),
            grouped(threeDigits(row.lastCurrentMs)),
          ],
        ],
  );
  return { heads, rows };
}

function storm(summaries: readonly TargetSummary[]): Table {
  const heads = [
    "reconnect storm",
    "subscribers",
    "lost",
    "repeated",
    "left behind",
    "database queries",
    "all current, ms",
  ];
  const rows = summaries.flatMap(({ target, storm: row }) =>
    row === undefined
      ? []
      : [
          [
            target,
            grouped(row.subscribers),
            grouped(row.lost),
            grouped(row.repeated),
            grouped(row.leftBehind),
            row.databaseQueries === undefined ? "" : grouped(row.databaseQueries),
            grouped(threeDigits(row.lastCurrentMs)),
          ],
        ],
  );
  return { heads, rows };
}

function flood(summaries: readonly TargetSummary[]): Table {
  const heads = [
    "others beside a flood",
    "of",
    "that arrived, /s",
    "delivery p50 ms",
    "p99 ms",
    "to none",
    "connect p50 ms",
    "p99 ms",
    "to none",
  ];
  const rows = summaries.flatMap((summary) => {
    const [none] = summary.flood;
    return summary.flood.map((row) => [
      summary.target,
      row.scenario.name,
      grouped(threeDigits(row.floodPerSecond)),
      row.deliveryP50Ms.toFixed(1),
      row.deliveryP99Ms.toFixed(1),
      ratio(row.deliveryP99Ms / (none?.deliveryP99Ms ?? Number.NaN)),
      row.connectP50Ms.toFixed(1),
      row.connectP99Ms.toFixed(1),
      ratio(row.connectP99Ms / (none?.connectP99Ms ?? Number.NaN)),
    ]);
  });
  return { heads, rows };
}

function ends(summaries: readonly TargetSummary[]): Table {
  const heads = [
    "beside a topic's",
    "subscribers",
    "of",
    "p50 ms",
    "p99 ms",
    "at most, ms",
    "for s",
  ];
  const rows = summaries.flatMap((summary) =>
    summary.ends.map((row) => [
      row.scenario,
      grouped(row.subscribers),
      summary.target,
      row.p50Ms.toFixed(1),
      row.p99Ms.toFixed(1),
      row.maxMs.toFixed(1),
      row.seconds.toFixed(1),
    ]),
  );
  return { heads, rows };
}

function post(summaries: readonly TargetSummary[]): Table {
  const heads = [
    "posts of",
    "target",
    "posts/s",
    "CPU µs per post",
    "messages per CPU second",
    "to the floor's posts",
  ];
  const rows = summaries.flatMap((summary) =>
    summary.post.map((row) => [
      row.name,
      summary.target,
      grouped(threeDigits(row.postsPerSecond)),
      row.cpuMicrosPerPost.toPrecision(3),
      grouped(threeDigits(row.messagesPerCpuSecond.value)),
      ratio(row.messagesPerCpuSecond.toFloor),
    ]),
  );
  return { heads, rows };
}

function versionRatios(ratios: readonly VersionRatio[]): Table {
  const within = `within ${TOLERANCE * 100} %`;
  const heads = ["ratio", "of", "better", "rounds", "median", "95 % interval", "holds 1", within];
  const rows = ratios.map((row) => [
    row.ratio,
    row.figure,
    row.better,
    String(row.rounds),
    row.median.toFixed(3),
    row.interval === undefined
      ? "too few rounds"
      : `${row.interval.low.toFixed(3)} to ${row.interval.high.toFixed(3)}`,
    row.holdsOne === undefined ? "" : yesOrNo(row.holdsOne),
    yesOrNo(row.isWithinTolerance),
  ]);
  return { heads, rows };
}

function yesOrNo(claim: boolean): string {
  return claim ? "yes" : "no";
}

function ratio(value: number | undefined): string {
  return value === undefined ? "" : `${value.toFixed(2)} x`;
}

function fixed(compared: Compared | undefined, digits: number): string {
  return compared === undefined ? "" : compared.value.toFixed(digits);
}

/** More digits than three would pretend that the machine is quieter than it is. */
function threeDigits(value: number): number {
  return Number(value.toPrecision(3));
}

function grouped(value: number): string {
  return value.toLocaleString("en-US");
}
