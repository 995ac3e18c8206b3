/**
 * Commands bound to one processor: server and load generator must not take turns on a core, or the
 * generator's appetite shows up as the server's latency.
 */
import { spawnSync } from "node:child_process";
import { availableParallelism } from "node:os";

const canPin: boolean =
  availableParallelism() > 1 && spawnSync("taskset", ["-c", "0,1", "true"]).status === 0;

/** The processors for server and generator; undefined where pinning is impossible. */
export const serverCpu: number | undefined = canPin ? 0 : undefined;
export const generatorCpu: number | undefined = canPin ? 1 : undefined;

/** Puts taskset before a command; taskset replaces itself, so the process id stays the server's. */
export function pinned(command: readonly string[], cpu: number | undefined): [string, ...string[]] {
  const [file, ...args] = command;
  if (file === undefined) throw new Error("Cannot start an empty command");
  return cpu === undefined ? [file, ...args] : ["taskset", "-c", String(cpu), file, ...args];
}
