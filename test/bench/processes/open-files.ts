/** Whether this process, and so the servers it starts, may open a file per subscriber. */
import { readFileSync } from "node:fs";

/** Files a server needs besides its subscribers' sockets. */
const RESERVE = 200;

/** A sentence when the limit is too low. Node has already raised the soft limit to the hard one. */
export function openFilesShortage(subscribers: number): string | undefined {
  const limits = readFileSync("/proc/self/limits", "utf8");
  const soft = Number(/^Max open files\s+(\d+)/m.exec(limits)?.[1] ?? Number.POSITIVE_INFINITY);
  if (soft >= subscribers + RESERVE) return undefined;
  return `${subscribers} subscribers need ${subscribers + RESERVE} open files, the limit is ${soft} (ulimit -n)`;
}
