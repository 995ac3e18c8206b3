/** The real time and real waits, whatever clock is in use (clock.ts). To be loaded before any clock is made. */

const RealDate: DateConstructor = Date;
const realWait: Scheduler["wait"] = scheduler.wait.bind(scheduler);

const MINUTE_MS = 60_000;
const ROOM_MS = 10_000;

/** The real clock. */
export function realNow(): number {
  return RealDate.now();
}

/**
 * Waits, if need be, until the minute of the real clock has ten seconds left: the runtime's rate limits begin anew with
 * each minute, and a test that counts must not cross it.
 */
export async function leaveRoomInMinute(): Promise<void> {
  const leftMs = MINUTE_MS - (realNow() % MINUTE_MS);
  if (leftMs < ROOM_MS) await waitReally(leftMs + 1);
}

/** Waits in real time. */
export function waitReally(ms: number, signal?: AbortSignal): Promise<void> {
  return realWait(ms, signal && { signal });
}
