/** The result for people: two Markdown tables under a line of facts that do not depend on the day. */
import type { Compared, TargetSummary } from "./summary.ts";

export interface Facts {
  readonly node: string;
  readonly workerd: string;
  readonly processors: number;
  readonly isPinned: boolean;
  readonly messageBytes: number;
  readonly window: number;
  readonly rounds: number;
  readonly secondsPerMeasurement: number;
}

export function formatReport(facts: Facts, summaries: readonly TargetSummary[]): string {
  const blocks = [formatFacts(facts)];
  const throughput = summaries.flatMap(({ target, throughput: rows }) =>
    rows.map((row) => [
      target,
      grouped(row.subscribers),
      grouped(threeDigits(row.deliveriesPerSecond)),
      row.cpuMicrosPerDelivery.toPrecision(3),
      grouped(threeDigits(row.deliveriesPerCpuSecond.value)),
      ratio(row.deliveriesPerCpuSecond),
    ]),
  );
  if (throughput.length > 0) {
    const heads = [
      "target",
      "subscribers",
      "deliveries/s",
      "CPU µs per delivery",
      "deliveries per CPU second",
      "to the floor",
    ];
    blocks.push(table(heads, throughput));
  }
  const others = summaries
    .filter(
      ({ p50Ms, kilobytesPerSocket }) => p50Ms !== undefined || kilobytesPerSocket !== undefined,
    )
    .map(({ target, p50Ms, p99Ms, kilobytesPerSocket }) => [
      target,
      ...[p50Ms, p99Ms].flatMap((value) => [fixed(value, 2), ratio(value)]),
      fixed(kilobytesPerSocket, 1),
      ratio(kilobytesPerSocket),
    ]);
  if (others.length > 0) {
    const floor = "to the floor";
    const heads = ["target", "p50 ms", floor, "p99 ms", floor, "KB per idle socket", floor];
    blocks.push(table(heads, others));
  }
  return blocks.join("\n\n");
}

function formatFacts(facts: Facts): string {
  return [
    `Node ${facts.node}`,
    `workerd ${facts.workerd}`,
    `${facts.processors} processors${facts.isPinned ? ", server and load pinned to one each" : ""}`,
    `${facts.messageBytes}-byte messages`,
    `window ${facts.window}`,
    `median of ${facts.rounds} rounds of ${facts.secondsPerMeasurement} s`,
  ].join("; ");
}

function table(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  const rule = heads.map((_, column) => (column === 0 ? "---" : "--:"));
  return [heads, rule, ...rows].map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}

function ratio(compared: Compared | undefined): string {
  return compared?.toFloor === undefined ? "" : `${compared.toFloor.toFixed(2)} x`;
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
