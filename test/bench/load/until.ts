/** Waits for a condition that the arrival of data makes true. */
import { setTimeout as sleep } from "node:timers/promises";

const LOOK_EVERY_MS = 5;
/** However slowly it goes on: nothing that is waited for takes a minute on a server that works. */
const TIMEOUT_MS = 60_000;

export interface UntilOptions {
  /** Throws when there is no point in waiting on. */
  watch(): void;
  /** Says what is missing when the time is up. */
  what(): string;
}

export async function until(isMet: () => boolean, options: UntilOptions): Promise<void> {
  const deadlineMs = performance.now() + TIMEOUT_MS;
  while (!isMet()) {
    options.watch();
    if (performance.now() > deadlineMs) throw new Error(options.what());
    await sleep(LOOK_EVERY_MS);
  }
}
