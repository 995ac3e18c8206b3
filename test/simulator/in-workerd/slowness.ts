/**
 * Whether a subscriber may have been called slow (PROTOCOL.md, 11.1, 11.6), as a bound: what waits for it at its close
 * was sent to it, and arrives before the close. Knows no sockets.
 * Invariant: it is asked when the subscriber comes, since what it is sent of the past does not count.
 */
import { realNow } from "../../support-in-workerd/real-time.ts";
import type { Subscribe } from "./actions.ts";
import type { World } from "./world.ts";

/** How long who takes nothing of the past has at least. */
const STALL_MS = 30_000;

/** What a subscriber has got by the time of its close. */
export interface Taken {
  /** Bytes of all frames, at most. */
  readonly bytes: number;
  /** Which messages. */
  readonly keys: ReadonlySet<string>;
}

/** Judges a close with 4408. */
export type MayBeSlow = (taken: Taken) => boolean;

/** For a subscriber that comes now: what is in the log already is given as it reads. */
export function slownessOf(
  world: World,
  { acks, reads }: Subscribe,
  since: string | null,
): MayBeSlow {
  const { publications, policy } = world;
  const { sends } = publications;
  const fromMs = elapsedMs(world);
  const isQuiet = world.quietEpoch !== null;
  const isSteady = reads === "at once" && acks !== "first";
  return ({ bytes, keys }) => {
    if (since !== null && elapsedMs(world) - fromMs >= STALL_MS) return true;
    if (bytes <= policy.maxBacklogBytes) return false;
    if (!isQuiet) return true;
    // Only when the next messages are due, and not for what it was sent of the past alone.
    if (isSteady) return publications.mostBytesSince(sends) > policy.maxBacklogBytes;
    return keys.values().some((key) => publications.messageOf(key).publication.lastSend > sends);
  };
}

/** How long the hub's clock has gone on, however it was set back. */
function elapsedMs({ passedSeconds }: World): number {
  return passedSeconds * 1000 + realNow();
}
