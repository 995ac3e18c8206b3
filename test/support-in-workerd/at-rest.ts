/** When nothing more comes of what a test did: an event to wait for where no answer comes. */
import { table } from "./fault-table.ts";
import { realNow, waitReally } from "./real-time.ts";

const PATIENCE_MS = 5_000;

/**
 * Waits until no object has a call or work of `waitUntil` under way; at once while a test holds a call. What is on
 * its way through a socket is not seen: wait for an answer to that first.
 */
export async function atRest(): Promise<void> {
  const untilMs = realNow() + PATIENCE_MS;
  // Work begins in turns of its own, after what caused it.
  do await waitReally(1);
  while (!table.isQuiet && realNow() < untilMs);
  if (!table.isQuiet) throw new Error(`Not at rest after ${PATIENCE_MS} ms`);
}
