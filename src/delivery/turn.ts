/** How code on the hot path gives the loop back. */

/** Lets other events and the sockets' write pumps run: timers do, promises do not. */
export function turn(ms: number): Promise<void> {
  return scheduler.wait(ms);
}
