/**
 * Bare calls: one object calls others, all at once, and none of them does anything. What telling as many
 * topics of a revoked key is measured against.
 */
import type { KickScenario } from "../kick-scenarios.ts";
import { listProcessTree, readUsage } from "../processes/process-tree.ts";
import { median } from "../quantile.ts";
import type { CallsCommand, CallsResult } from "./load-command.ts";

export async function measureCalls(command: CallsCommand): Promise<CallsResult[]> {
  const results: CallsResult[] = [];
  for (const scenario of command.scenarios) results.push(await callAll(command, scenario));
  return results;
}

async function callAll(
  { endpoint, callsPath, serverPid }: CallsCommand,
  scenario: KickScenario,
): Promise<CallsResult> {
  const url = `http://127.0.0.1:${endpoint.port}${callsPath}/${scenario.holders}`;
  const call = async (): Promise<void> => {
    const response = await fetch(url);
    if (!response.ok) throw new Error(`The bare calls failed with ${response.status}`);
    await response.arrayBuffer();
  };
  // The first time wakes them, and lets the compiler see the code.
  await call();
  const pids = listProcessTree(serverPid);
  const before = readUsage(pids);
  const durations: number[] = [];
  for (let n = 0; n < scenario.keys; n++) {
    const startMs = performance.now();
    await call();
    durations.push(performance.now() - startMs);
  }
  const serverSeconds = readUsage(pids).cpuSeconds - before.cpuSeconds;
  return {
    scenario,
    lastMs: median(durations),
    cpuMicrosPerHolder: (serverSeconds / (scenario.holders * scenario.keys)) * 1e6,
  };
}
