/**
 * What a policy's log keeps (PROTOCOL.md, 9.2, 9.3, 9.8), as bounds from both sides: what must still be
 * there, and what may be gone. In between the hub is free, and the simulator cannot know.
 */
import type { Policy } from "../../../src/core/policy.ts";
import type { EpochLog } from "./ledger.ts";
import type { Place } from "./place.ts";
import { mostAgeMs, type Publications } from "./publication.ts";

/** What a log that is not durable keeps: so many messages, and bytes (rounded down, for overheads). */
const MEMORY_MESSAGES = 1_024;
const MEMORY_BYTES = 900_000;
/** How far two ages may be apart that are meant to be the same. */
const AGE_SLACK_SECONDS = 10;
/** How long the log of a shared topic without `history_seconds` is kept. */
const SHARED_LOG_SECONDS = 86_400;

/** What can cost a topic its log. */
export type Cause =
  | "memory-lost"
  | "sockets-lost"
  | "publisher-left"
  /** At once, whatever the grace. */
  | "topic-ended"
  | "time-passed";

/** What the bounds are measured against. */
export interface LogView {
  readonly policy: Policy;
  readonly publications: Publications;
  /** The first publication since the object last began anew. */
  readonly rememberedFrom: number;
}

/** Whether the log survives restarts. */
export function isDurable({ historyMessages, historySeconds }: Policy): boolean {
  return historyMessages > 0 || historySeconds > 0;
}

/** Whether the whole log may be gone, its epoch included, `quietSeconds` after all was well. */
export function mayLoseLog(policy: Policy, cause: Cause, quietSeconds: number): boolean {
  if (!isDurable(policy)) return true;
  const { publishers, graceSeconds, historySeconds } = policy;
  const isExclusive = publishers === "exclusive";
  if (cause === "time-passed") {
    const keptSeconds = historySeconds === 0 && !isExclusive ? SHARED_LOG_SECONDS : historySeconds;
    return quietSeconds >= keptSeconds;
  }
  if (cause === "topic-ended") return isExclusive && historySeconds === 0;
  // Without a grace period the topic ends with its publisher, and the log with the topic.
  return cause !== "memory-lost" && isExclusive && graceSeconds === 0 && historySeconds === 0;
}

/** The first offset of those that the log must still have; one past the head if it need have none. */
export function retainedFrom(log: EpochLog, view: LogView): number {
  const { publications, policy, rememberedFrom } = view;
  const { historyMessages, historySeconds } = policy;
  let bytes = 0;
  let from = log.last + 1;
  for (let offset = log.last; ; offset--) {
    const key = log.keys.get(offset);
    if (key === undefined) return from;
    const { publication } = publications.messageOf(key);
    bytes += 2 * key.length;
    if (isDurable(policy)) {
      if (historyMessages > 0 && log.last - offset >= historyMessages) return from;
      if (historySeconds > 0 && mostAgeMs(publication) / 1000 > historySeconds - AGE_SLACK_SECONDS)
        return from;
    } else if (
      publication.number < rememberedFrom ||
      log.last - offset >= MEMORY_MESSAGES ||
      bytes > MEMORY_BYTES
    ) {
      return from;
    }
    from = offset;
  }
}

/** The offset of the last of those that must not be given out any more: over the bound, or too old. */
export function excludedTo(log: EpochLog, { publications, policy }: LogView): number {
  const { historyMessages, historySeconds } = policy;
  const overBound = historyMessages > 0 ? log.last - historyMessages : -Infinity;
  if (historySeconds === 0) return overBound;
  return Math.max(overBound, olderTo(log, publications, historySeconds));
}

/** The offset of the last message that is older than so much for certain. */
export function olderTo(log: EpochLog, publications: Publications, seconds: number): number {
  const beforeMs = Date.now() - (seconds + AGE_SLACK_SECONDS) * 1000;
  for (let offset = log.last; ; offset--) {
    const key = log.keys.get(offset);
    if (key === undefined) return -Infinity;
    if (publications.messageOf(key).publication.latestMs < beforeMs) return offset;
  }
}

/** Whether the message at a place of this epoch may be gone by now. */
export function mayBeGone(log: EpochLog, place: Place, view: LogView): boolean {
  const { publications, policy, rememberedFrom } = view;
  const { historyMessages, historySeconds } = policy;
  const behind = log.last - place.offset;
  if (!isDurable(policy)) {
    return rememberedFrom > 0 || behind >= MEMORY_MESSAGES || publications.count > MEMORY_MESSAGES;
  }
  if (historyMessages > 0 && behind >= historyMessages) return true;
  const key = log.keys.get(place.offset);
  if (historySeconds === 0 || key === undefined) return historySeconds > 0;
  return mostAgeMs(publications.messageOf(key).publication) >= historySeconds * 1000;
}
