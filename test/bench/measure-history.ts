/**
 * Latency and rows of a topic by its history's delay and by how much is published. Rows are counted in the server's own
 * files: the topic is new, and its log keeps more than is published.
 */
import type { HistoryScenario } from "./history-scenarios.ts";
import type { LatencyCommand } from "./load/load-command.ts";
import { runLoad } from "./load/run-load.ts";
import type { RunningTarget } from "./targets/target.ts";

export interface HistoryRow {
  readonly scenario: HistoryScenario;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly rowsPerSecond: number;
}

export async function measureHistory(
  { delayMs, ...scenario }: HistoryScenario,
  server: RunningTarget,
  load: Omit<LatencyCommand, "kind" | "endpoint" | "messagesPerSecond">,
): Promise<HistoryRow> {
  const { history } = server;
  if (history === undefined) throw new Error("It has no history");
  const { messagesPerSecond } = scenario;
  const rowsBefore = history.countRows();
  const { p50Ms, p99Ms } = await runLoad({
    ...load,
    kind: "latency",
    endpoint: delayMs === null ? server.endpoint("history") : await history.endpoint(delayMs),
    messagesPerSecond,
  });
  const messages = Math.ceil((load.warmupSeconds + load.seconds) * messagesPerSecond);
  const rowsPerMessage = (history.countRows() - rowsBefore) / messages;
  const rowsPerSecond = rowsPerMessage * messagesPerSecond;
  return { scenario: { ...scenario, delayMs }, p50Ms, p99Ms, rowsPerSecond };
}
