/**
 * Heartbeats: the text a client sends, the text the platform answers without waking the object, and
 * the rule that tells a silent publisher from a live one (PROTOCOL.md, section 7).
 */

/** A client's heartbeat; never relayed. */
export const HEARTBEAT_REQUEST = "wspubsub:ping";
/** The platform's answer to it. */
export const HEARTBEAT_RESPONSE = "wspubsub:pong";

/** Seconds between heartbeats of a client that declares no `?heartbeat=`. */
export const DEFAULT_HEARTBEAT_SECONDS = 30;
/** Seconds; a longer interval would hardly notice a dead peer. */
export const MAX_HEARTBEAT_SECONDS = 300;
/** A publisher that missed so many loses to any newcomer with a key, a subscriber when its place is needed. */
const MISSED_HEARTBEATS = 3;

/** What is known of somebody's signs of life; times in milliseconds since the epoch. */
export interface SignsOfLife {
  /** The interval it declared on connecting, `null` if it declared none. */
  readonly heartbeatSeconds: number | null;
  readonly connectedAtMs: number;
  /** When the platform last answered a heartbeat, `null` if never. */
  readonly lastHeartbeatMs: number | null;
  /** When it last sent a message, as far as memory reaches, `null` if unknown. */
  readonly lastMessageMs: number | null;
}

/**
 * Whether somebody missed three heartbeats. One that neither declared nor sent any is never
 * silent: nothing was promised.
 */
export function isSilent(signs: SignsOfLife, nowMs: number): boolean {
  if (signs.heartbeatSeconds === null && signs.lastHeartbeatMs === null) return false;
  const intervalMs = (signs.heartbeatSeconds ?? DEFAULT_HEARTBEAT_SECONDS) * 1000;
  return nowMs - lastSeenMs(signs) > MISSED_HEARTBEATS * intervalMs;
}

/** When somebody was last seen. */
export function lastSeenMs({ connectedAtMs, lastHeartbeatMs, lastMessageMs }: SignsOfLife): number {
  return Math.max(connectedAtMs, lastHeartbeatMs ?? 0, lastMessageMs ?? 0);
}
