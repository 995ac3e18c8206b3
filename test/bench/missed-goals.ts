/** What the hub promises against the floor, and which of it a run did not show. */
import type { TargetSummary } from "./summary.ts";

/** Deliveries per CPU second under load, as a multiple of the floor's. */
const LEAST_THROUGHPUT: readonly { readonly upToSubscribers: number; readonly ratio: number }[] = [
  { upToSubscribers: 300, ratio: 2.7 },
  { upToSubscribers: Number.POSITIVE_INFINITY, ratio: 3.2 },
];
const MOST_P50_RATIO = 1.15;
const MOST_MEMORY_RATIO = 1.15;

/** One sentence per missed goal; empty when all that was measured is met. */
export function missedGoals(summaries: readonly TargetSummary[]): string[] {
  const hub = summaries.find(({ target }) => target === "hub");
  if (hub === undefined) return ["The hub was not measured"];
  if (!summaries.some(({ target }) => target === "floor")) return ["The floor was not measured"];
  const missed: string[] = [];
  for (const { subscribers, deliveriesPerCpuSecond } of hub.throughput) {
    const goal = LEAST_THROUGHPUT.find(({ upToSubscribers }) => subscribers <= upToSubscribers);
    const ratio = deliveriesPerCpuSecond.toFloor ?? Number.NaN;
    if (goal === undefined || ratio >= goal.ratio) continue;
    missed.push(
      `${ratio.toFixed(2)} x the floor's deliveries per CPU second at ${subscribers} subscribers, ` +
        `not ${goal.ratio} x`,
    );
  }
  const p50 = hub.p50Ms?.toFloor;
  if (p50 !== undefined && !(p50 <= MOST_P50_RATIO)) {
    missed.push(`p50 latency is ${p50.toFixed(2)} x the floor's, more than ${MOST_P50_RATIO} x`);
  }
  const memory = hub.kilobytesPerSocket?.toFloor;
  if (memory !== undefined && !(memory <= MOST_MEMORY_RATIO)) {
    missed.push(
      `memory per idle socket is ${memory.toFixed(2)} x the floor's, more than ${MOST_MEMORY_RATIO} x`,
    );
  }
  return missed;
}
