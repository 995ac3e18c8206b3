/** Which publishers missed the heartbeats that they promised (PROTOCOL.md, 7.4). */
import { isSilent, lastSeenMs } from "../core/heartbeat.ts";
import type { Publisher } from "./publisher.ts";

/** Finds so many who are silent, or fewer, the longest silent first. */
export function findSilentPublishers(
  count: number,
  publishers: Iterable<Publisher>,
  lastHeartbeatMs: (socket: WebSocket) => number | null,
  nowMs: number,
): Publisher[] {
  if (count === 0) return [];
  return Array.from(publishers, (publisher) => {
    const { socket, attachment, lastMessageMs } = publisher;
    const { heartbeatSeconds, connectedAtMs } = attachment;
    const signs = { heartbeatSeconds, connectedAtMs, lastMessageMs };
    return { publisher, signs: { ...signs, lastHeartbeatMs: lastHeartbeatMs(socket) } };
  })
    .filter(({ signs }) => isSilent(signs, nowMs))
    .toSorted((one, other) => lastSeenMs(one.signs) - lastSeenMs(other.signs))
    .slice(0, count)
    .map(({ publisher }) => publisher);
}
