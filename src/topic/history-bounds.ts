/** What a policy says of a topic's history: how much of it outlives memory. */
import * as v from "valibot";
import type { Policy } from "../core/policy.ts";

/** What is kept durably; 0 sets no bound of its kind. */
export interface HistoryBounds {
  readonly messages: number;
  readonly seconds: number;
}

/** Validates bounds that come from storage. */
export const HistoryBoundsSchema: v.GenericSchema<unknown, HistoryBounds> = v.object({
  messages: v.number(),
  seconds: v.number(),
});

/** The bounds that a policy sets, `null` where it keeps nothing durably. */
export function historyBoundsOf({
  historyMessages: messages,
  historySeconds: seconds,
}: Policy): HistoryBounds | null {
  return messages === 0 && seconds === 0 ? null : { messages, seconds };
}

/** Whether two histories keep the same. */
export function isSameHistory(one: HistoryBounds | null, other: HistoryBounds | null): boolean {
  return one?.messages === other?.messages && one?.seconds === other?.seconds;
}

/** Whether one history keeps less than another, or not for as long. */
export function keepsLess(bounds: HistoryBounds | null, than: HistoryBounds | null): boolean {
  if (than === null) return false;
  if (bounds === null) return true;
  return isLess(bounds.messages, than.messages) || isLess(bounds.seconds, than.seconds);
}

/** Whether one bound keeps less than another; 0 is no bound. */
function isLess(bound: number, than: number): boolean {
  return bound !== 0 && (than === 0 || bound < than);
}
