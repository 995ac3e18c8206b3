/** Every number of a round that two versions are compared by, and which way it should go. */
import type { Pick } from "./compare-rounds.ts";
import type { RoundResult } from "./round-result.ts";

export interface Figure {
  readonly name: string;
  readonly better: "lower" | "higher";
  readonly pick: Pick;
}

/** The figures that the rounds have. */
export function figuresOf(results: readonly RoundResult[]): Figure[] {
  const all: Figure[] = [
    lower("memory, bytes per idle socket", ({ memory }) => memory?.bytesPerSocket),
    lower("latency p50, ms", ({ latency }) => latency?.p50Ms),
    lower("latency p99, ms", ({ latency }) => latency?.p99Ms),
    lower("connect, CPU µs", ({ connect }) => connect?.cpuMicrosPerConnect),
    ...keysOf(results, ({ post }) => post).map((scenario) =>
      lower(`post, ${scenario}, CPU µs`, ({ post }) => post.get(scenario)?.cpuMicrosPerPost),
    ),
    ...keysOf(results, ({ kick }) => kick).map((scenario) =>
      lower(`kick, ${scenario}, last Close, ms`, ({ kick }) => kick.get(scenario)?.lastMs),
    ),
    ...keysOf(results, ({ history }) => history).flatMap((scenario) => [
      lower(`history, ${scenario}, p50 ms`, ({ history }) => history.get(scenario)?.p50Ms),
      lower(`history, ${scenario}, rows/s`, ({ history }) => history.get(scenario)?.rowsPerSecond),
    ]),
    ...keysOf(results, ({ flood }) => flood).flatMap((scenario) => [
      lower(
        `flood, ${scenario}, delivery p99 ms`,
        ({ flood }) => flood.get(scenario)?.deliveryP99Ms,
      ),
      lower(`flood, ${scenario}, connect p99 ms`, ({ flood }) => flood.get(scenario)?.connectP99Ms),
    ]),
    lower("join, half current, ms", ({ join }) => join?.medianCurrentMs),
    lower("join, all current, ms", ({ join }) => join?.lastCurrentMs),
    lower("storm, all current, ms", ({ storm }) => storm?.lastCurrentMs),
    ...keysOf(results, ({ ends }) => ends).map((scenario) =>
      lower(`beside ${scenario}, p99 ms`, ({ ends }) => ends.get(scenario)?.p99Ms),
    ),
    ...keysOf(results, ({ ingest }) => ingest).flatMap((frame) => [
      higher(
        `ingest in frames of ${frame}, messages/s`,
        ({ ingest }) => ingest.get(frame)?.messagesPerSecond,
      ),
      lower(
        `ingest in frames of ${frame}, CPU µs per message`,
        ({ ingest }) => ingest.get(frame)?.cpuMicrosPerMessage,
      ),
    ]),
    ...keysOf(results, ({ throughput }) => throughput).flatMap((subscribers) => [
      higher(
        `${subscribers} subscribers, deliveries/s`,
        ({ throughput }) => throughput.get(subscribers)?.deliveriesPerSecond,
      ),
      lower(
        `${subscribers} subscribers, CPU µs per delivery`,
        ({ throughput }) => throughput.get(subscribers)?.cpuMicrosPerDelivery,
      ),
    ]),
  ];
  return all.filter(({ pick }) => results.some((result) => pick(result) !== undefined));
}

function lower(name: string, pick: Pick): Figure {
  return { name, better: "lower", pick };
}

function higher(name: string, pick: Pick): Figure {
  return { name, better: "higher", pick };
}

function keysOf<Key>(
  results: readonly RoundResult[],
  pick: (result: RoundResult) => ReadonlyMap<Key, unknown>,
): Key[] {
  return [...new Set(results.flatMap((result) => [...pick(result).keys()]))];
}
