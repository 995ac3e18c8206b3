/**
 * Which sockets are here by which key or token, and until when; by key, so that neither a revocation nor a look at
 * the keys in use walks all sockets. Sockets that presented nothing are not in it. A copy of what the attachments
 * say. Knows no clock.
 */
import type { Grant } from "../core/grant.ts";

/**
 * How long a key may be used without being looked at; with what caches may add, less than the minute in which
 * a key that somebody switched off by hand must be off.
 */
const LOOK_MS = 30_000;
/** Keys that are looked at at once: more make the question too large. */
const MAX_KEYS = 500;

/** The grants of one topic's sockets. */
export class Grants {
  readonly #grants: Map<WebSocket, Grant> = new Map();
  /** In the order in which they are looked at. */
  readonly #keys: Map<number, Set<WebSocket>> = new Map();
  #nextLookMs = Infinity;

  /** Remembers by what a socket is here; keys were looked at not long before `seenMs`. */
  add(socket: WebSocket, grant: Grant, seenMs: number): void {
    this.#grants.set(socket, grant);
    if (grant.keyId === null) return;
    const known = this.#keys.get(grant.keyId);
    if (known === undefined) this.#keys.set(grant.keyId, new Set([socket]));
    else known.add(socket);
    this.#nextLookMs = Math.min(this.#nextLookMs, seenMs + LOOK_MS);
  }

  /** Changes by what a socket is here. */
  renew(socket: WebSocket, grant: Grant): void {
    if (this.#grants.has(socket)) this.#grants.set(socket, grant);
  }

  /** Forgets a socket. */
  delete(socket: WebSocket): void {
    const keyId = this.#grants.get(socket)?.keyId ?? null;
    this.#grants.delete(socket);
    if (keyId === null) return;
    const sockets = this.#keys.get(keyId);
    sockets?.delete(socket);
    if (sockets?.size === 0) this.#keys.delete(keyId);
    if (this.#keys.size === 0) this.#nextLookMs = Infinity;
  }

  /** Whether a socket presented anything. */
  has(socket: WebSocket): boolean {
    return this.#grants.has(socket);
  }

  /** Whether nobody who is here presented anything. */
  get isEmpty(): boolean {
    return this.#grants.size === 0;
  }

  /** The keys that sockets are here by. */
  get keyIds(): number[] {
    return [...this.#keys.keys()];
  }

  /** Whether any socket is here by a key. */
  holds(keyId: number): boolean {
    return this.#keys.has(keyId);
  }

  /** The sockets that are here by a key, with their grants. */
  heldBy(keyId: number): [WebSocket, Grant][] {
    return [...(this.#keys.get(keyId) ?? [])].flatMap((socket) => {
      const grant = this.#grants.get(socket);
      return grant === undefined ? [] : [[socket, grant]];
    });
  }

  /** When keys are to be looked at next, infinite where there is none; cheap, for every message asks. */
  get nextLookMs(): number {
    return this.#nextLookMs;
  }

  /** The keys that are to be looked at now; each is again in half a minute. */
  takeDue(nowMs: number): number[] {
    const due = this.#keys.entries().take(MAX_KEYS).toArray();
    for (const [keyId, sockets] of due) {
      this.#keys.delete(keyId);
      this.#keys.set(keyId, sockets);
    }
    this.#nextLookMs = nowMs + LOOK_MS / Math.max(1, Math.ceil(this.#keys.size / MAX_KEYS));
    return due.map(([keyId]) => keyId);
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
