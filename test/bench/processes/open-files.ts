/** Whether this process, and so the servers it starts, may open as many files as its subscribers need. */
import { readOpenFilesLimit } from "../../../src/local/open-files.ts";

/** Of a subscriber in a server: its socket, and in workerd one more (measured on 1.20261117). */
const PER_SUBSCRIBER = 2;

/** Files a server needs besides its subscribers' sockets. */
const RESERVE = 200;

/** A sentence when the limit is too low. */
export function openFilesShortage(subscribers: number): string | undefined {
  const needed = subscribers * PER_SUBSCRIBER + RESERVE;
  const limit = readOpenFilesLimit();
  if (limit >= needed) return undefined;
  return `${subscribers} subscribers need ${needed} open files, the limit is ${limit} (ulimit -n)`;
}
