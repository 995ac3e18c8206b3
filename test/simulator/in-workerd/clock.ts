/**
 * The time that the hub sees. Tests and hub share an isolate, so what is replaced here serves both.
 * `Date.now` only ever runs ahead of the real time: an alarm that the hub sets is then late by itself, and
 * the simulator decides when it fires. Long waits are shortened, since a scenario has many of them.
 */

/** Waits that are longer are shortened to a tenth. */
const LONG_WAIT_MS = 50;

const realNow: () => number = Date.now;
const realWait: Scheduler["wait"] = scheduler.wait.bind(scheduler);

/** Waits in real time. */
export function waitReally(ms: number, signal?: AbortSignal): Promise<void> {
  return realWait(ms, signal && { signal });
}

/** A clock that can be put forward. */
export class Clock {
  #aheadMs = 0;

  /** Makes it everybody's clock until it is disposed of. */
  constructor() {
    Date.now = () => realNow() + this.#aheadMs;
    scheduler.wait = (ms, options) => realWait(ms > LONG_WAIT_MS ? ms / 10 : ms, options);
  }

  /** Puts the clock forward. */
  advance(seconds: number): void {
    this.#aheadMs += seconds * 1000;
  }

  [Symbol.dispose](): void {
    Date.now = realNow;
    scheduler.wait = realWait;
  }
}
