/**
 * Waits until every subscriber has received every message, and fails when that does not happen: a
 * number measured while messages get lost is no number.
 */
import { setTimeout as sleep } from "node:timers/promises";

import type { Audience } from "./audience.ts";

/** Nothing more arrives for this long: what is missing is lost. */
const SILENCE_MS = 5_000;
/** However slowly it goes on: what is under way fits a window, not a minute. */
const DRAIN_TIMEOUT_MS = 60_000;

export async function settled(audience: Audience, messages: number): Promise<void> {
  const expected = messages * audience.subscribers.length;
  let delivered = -1;
  let lastProgressMs = performance.now();
  const deadlineMs = lastProgressMs + DRAIN_TIMEOUT_MS;
  while (delivered !== expected) {
    audience.assertWell();
    await sleep(20);
    const now = audience.delivered();
    if (now !== delivered) lastProgressMs = performance.now();
    else if (performance.now() - lastProgressMs > SILENCE_MS) break;
    if (performance.now() > deadlineMs) break;
    delivered = now;
  }
  // One by one: a message too many here could hide one too few there.
  const wrong = audience.subscribers.filter((subscriber) => subscriber.messages !== messages);
  const [first] = wrong;
  if (first === undefined) return;
  throw new Error(
    `${wrong.length} of ${audience.subscribers.length} subscribers did not receive exactly ` +
      `${messages} messages; one received ${first.messages}`,
  );
}
