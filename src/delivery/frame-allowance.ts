/**
 * How many frames a subscriber may send: each wakes the object and is billed. Acknowledgements are earned
 * by what was sent to the socket; keepalives of a client's own, and whatever else it sends, have
 * so many a minute (PROTOCOL.md, 11.4). It does not outlive hibernation, in which nobody sends. Knows no clock.
 */

import { reached } from "../core/coverage-mark.ts";

/** Frames that were not earned, a minute. */
export const FRAMES_A_MINUTE = 120;
const MINUTE_MS = 60_000;
/** Bytes sent to a subscriber that earn it one frame. */
const BYTES_A_FRAME = 32_768;
/** What is earned and not used is worth no more: the largest backlog that a domain can allow. */
const MAX_EARNED_BYTES = 67_108_864;

/** The frames of one subscriber. */
export class FrameAllowance {
  #earnedBytes = 0;
  /** When the minute began, and what it has seen. */
  #sinceMs = -Infinity;
  #taken = 0;

  /** So many bytes were sent to it. */
  earn(bytes: number): void {
    this.#earnedBytes = Math.min(MAX_EARNED_BYTES, this.#earnedBytes + bytes);
  }

  /** Whether it may send a frame of so many bytes; a large one counts as several. */
  take(bytes: number, nowMs: number): boolean {
    if (this.#earnedBytes >= BYTES_A_FRAME && bytes <= BYTES_A_FRAME) {
      this.#earnedBytes -= BYTES_A_FRAME;
      return true;
    }
    // A clock that was set back must not make the minute longer.
    const isClockBack = nowMs < this.#sinceMs;
    if (isClockBack) reached("minute-begun-by-clock");
    if (nowMs - this.#sinceMs >= MINUTE_MS || isClockBack) {
      this.#sinceMs = nowMs;
      this.#taken = 0;
    }
    this.#taken += Math.max(1, Math.ceil(bytes / BYTES_A_FRAME));
    return this.#taken <= FRAMES_A_MINUTE;
  }
}
