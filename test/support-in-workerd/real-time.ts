/** The real time and real waits, whatever clock is in use (clock.ts). To be loaded before any clock is made. */

const RealDate: DateConstructor = Date;
const realWait: Scheduler["wait"] = scheduler.wait.bind(scheduler);

/** The real clock. */
export function realNow(): number {
  return RealDate.now();
}

/** Waits in real time. */
export function waitReally(ms: number, signal?: AbortSignal): Promise<void> {
  return realWait(ms, signal && { signal });
}
