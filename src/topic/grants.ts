/**
 * Which sockets are here by which key or token, and until when. Sockets that presented nothing are not in
 * it. A copy of what the attachments say, so that neither an expiry nor a revocation reads them all.
 */
import type { Grant } from "../core/grant.ts";

/** The grants of one topic's sockets. */
export class Grants {
  readonly #grants: Map<WebSocket, Grant> = new Map();

  /** Remembers by what a socket is here. */
  set(socket: WebSocket, grant: Grant): void {
    this.#grants.set(socket, grant);
  }

  /** Forgets a socket. */
  delete(socket: WebSocket): void {
    this.#grants.delete(socket);
  }

  /** The sockets that are here by a key, with their grants. */
  heldBy(keyId: number): [WebSocket, Grant][] {
    return [...this.#grants].filter(([, grant]) => grant.keyId === keyId);
  }

  /** The sockets whose time is over. */
  expired(nowMs: number): [WebSocket, Grant][] {
    return [...this.#grants].filter(([, { expiresAtMs }]) => (expiresAtMs ?? Infinity) <= nowMs);
  }

  /** When the next one's time is over, `null` when none ends. */
  get nextExpiryMs(): number | null {
    let nextMs = Infinity;
    for (const { expiresAtMs } of this.#grants.values()) {
      nextMs = Math.min(nextMs, expiresAtMs ?? Infinity);
    }
    return nextMs === Infinity ? null : nextMs;
  }
}
