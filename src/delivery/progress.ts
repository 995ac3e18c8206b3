/**
 * Whether a subscriber takes what waits for it: one whose backlog shrinks is slow, one whose backlog does not is
 * stalled (PROTOCOL.md, 11.6). Knows neither sockets nor a clock.
 */
import { reached } from "../core/coverage-mark.ts";

/** A subscriber that takes less than this within the time is stalled: 1 KiB a second. */
const STALL_MS = 30_000;
const LEAST_BYTES = 30 * 1024;
/**
 * Of a message or a frame nothing is seen to be taken before all of it is. So where much waits, as long is waited as
 * 16 KiB a second take for it, which is more than 30 seconds from 480 KiB on.
 */
const UNSEEN_BYTES_PER_MS = (16 * 1024) / 1000;

/** The progress of one subscriber. */
export class Progress {
  #fromBytes = 0;
  #sinceMs = 0;

  /** So much waits now, and is to be taken. */
  restart(waitingBytes: number, nowMs: number): void {
    this.#fromBytes = waitingBytes;
    this.#sinceMs = nowMs;
  }

  /** Whether too little was taken for too long, now that so much waits. */
  isStalled(waitingBytes: number, nowMs: number): boolean {
    const isClockBack = nowMs < this.#sinceMs;
    if (isClockBack) reached("progress-begun-by-clock");
    if (isClockBack || this.#fromBytes - waitingBytes >= LEAST_BYTES) {
      this.restart(waitingBytes, nowMs);
      return false;
    }
    return nowMs - this.#sinceMs >= Math.max(STALL_MS, this.#fromBytes / UNSEEN_BYTES_PER_MS);
  }
}
