/**
 * CPU time and resident memory of a process and all its descendants, read from /proc (Linux only).
 *
 * The tree matters: nginx serves from a child of the process that was started. Shared pages count
 * once per process, which is why memory is always reported as a difference between two readings.
 */
import { readFileSync, readdirSync } from "node:fs";

/** What a process tree has used up to now. */
export interface ProcessUsage {
  readonly cpuSeconds: number;
  readonly residentBytes: number;
}

/** USER_HZ: the unit of utime and stime, 100 on every Linux that Node supports. */
const TICKS_PER_SECOND = 100;

/** Pages are 4 KiB on x86-64 and on most arm64 kernels; a 64 KiB kernel would need getconf. */
const PAGE_BYTES = 4096;

/** Returns the ids of a process and of its descendants. */
export function listProcessTree(rootPid: number): number[] {
  const childrenOf = new Map<number, number[]>();
  for (const entry of readdirSync("/proc")) {
    const pid = Number(entry);
    if (!Number.isInteger(pid)) continue;
    const fields = readStat(pid);
    if (fields === undefined) continue;
    const parent = Number(fields[1]);
    const siblings = childrenOf.get(parent);
    if (siblings === undefined) childrenOf.set(parent, [pid]);
    else siblings.push(pid);
  }
  const tree = [rootPid];
  // The array grows while it is walked: breadth first, without a second list.
  for (const pid of tree) tree.push(...(childrenOf.get(pid) ?? []));
  return tree;
}

/** Adds up the usage of the given processes; one that has ended counts as nothing. */
export function readUsage(pids: readonly number[]): ProcessUsage {
  let ticks = 0;
  let pages = 0;
  for (const pid of pids) {
    const fields = readStat(pid);
    if (fields === undefined) continue;
    ticks += Number(fields[11]) + Number(fields[12]);
    pages += Number(fields[21]);
  }
  return { cpuSeconds: ticks / TICKS_PER_SECOND, residentBytes: pages * PAGE_BYTES };
}

/** Seconds that all processors of the machine have spent on anything. */
export function readMachineSeconds(): number {
  const [line = ""] = readFileSync("/proc/stat", "latin1").split("\n", 1);
  const [user = 0, nice = 0, system = 0, , , irq = 0, softIrq = 0] = line
    .split(/\s+/)
    .slice(1)
    .map(Number);
  return (user + nice + system + irq + softIrq) / TICKS_PER_SECOND;
}

/** The fields of /proc/PID/stat from the third (state) on: the name before may hold spaces. */
function readStat(pid: number): string[] | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  } catch {
    // ENOENT or ESRCH: the process ended between the listing and the reading.
    return undefined;
  }
}
