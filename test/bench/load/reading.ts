/** What was done and used up to an instant; the difference of two readings is a measurement. */
import { readMachineSeconds, readUsage } from "../processes/process-tree.ts";
import type { Busy } from "./load-command.ts";

export interface Reading {
  readonly seconds: number;
  readonly serverSeconds: number;
  readonly ownSeconds: number;
  readonly machineSeconds: number;
}

export function takeReading(serverPids: readonly number[]): Reading {
  const { user, system } = process.cpuUsage();
  return {
    seconds: performance.now() / 1_000,
    serverSeconds: readUsage(serverPids).cpuSeconds,
    ownSeconds: (user + system) / 1e6,
    machineSeconds: readMachineSeconds(),
  };
}

/** How busy all were between two readings, and how long that was. */
export function busyBetween(
  before: Reading,
  after: Reading,
): { seconds: number; serverSeconds: number; busy: Busy } {
  const seconds = after.seconds - before.seconds;
  const serverSeconds = after.serverSeconds - before.serverSeconds;
  const ownSeconds = after.ownSeconds - before.ownSeconds;
  const machineSeconds = after.machineSeconds - before.machineSeconds;
  const busy = {
    serverLoad: serverSeconds / seconds,
    generatorLoad: ownSeconds / seconds,
    othersLoad: Math.max(0, machineSeconds - serverSeconds - ownSeconds) / seconds,
  };
  return { seconds, serverSeconds, busy };
}
