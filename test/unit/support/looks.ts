/** Time that goes on only as the hub waits: who waits for nothing but a turn of the loop takes none. */
import { onTestFinished, vi } from "vitest";

/** What time it is. */
export interface Looks {
  /** How long was waited. */
  readonly waitedMs: number;
}

/** Makes each wait take as long as it says, or a step; says so before it is over. */
export function countWaits(
  onWait: (waitedMs: number) => void = () => {},
  stepMs: number | null = null,
): Looks {
  let waitedMs = 0;
  const startMs = Date.now();
  const wait = scheduler.wait.bind(scheduler);
  const now = vi.spyOn(Date, "now").mockImplementation(() => startMs + waitedMs);
  const waits = vi.spyOn(scheduler, "wait").mockImplementation(async (ms) => {
    if (ms > 0) waitedMs += stepMs ?? ms;
    onWait(waitedMs);
    await wait(0);
  });
  onTestFinished(() => {
    now.mockRestore();
    waits.mockRestore();
  });
  return {
    get waitedMs() {
      return waitedMs;
    },
  };
}
