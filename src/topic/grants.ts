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
  /** No later than the first end of a grant; found out anew when that has passed. */
  #nextExpiryMs = Infinity;

  /** Remembers by what a socket is here; keys were looked at not long before `seenMs`. */
  add(socket: WebSocket, grant: Grant, seenMs: number): void {
    this.#grants.set(socket, grant);
    this.#expectEnd(grant);
    if (grant.keyId === null) return;
    const known = this.#keys.get(grant.keyId);
    if (known === undefined) this.#keys.set(grant.keyId, new Set([socket]));
    else known.add(socket);
    this.#nextLookMs = Math.min(this.#nextLookMs, seenMs + LOOK_MS);
  }

  /** Changes by what a socket is here. */
  renew(socket: WebSocket, grant: Grant): void {
    if (!this.#grants.has(socket)) return;
    this.#grants.set(socket, grant);
    this.#expectEnd(grant);
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

  /** The sockets whose time is over; walks all of them, once an alarm. */
  takeExpired(nowMs: number): [WebSocket, Grant][] {
    const expired: [WebSocket, Grant][] = [];
    this.#nextExpiryMs = Infinity;
    for (const [socket, grant] of this.#grants) {
      if ((grant.expiresAtMs ?? Infinity) <= nowMs) expired.push([socket, grant]);
      else this.#expectEnd(grant);
    }
    return expired;
  }

  /** When the next one's time is over, or earlier; `null` when none ends. Cheap: every batch asks. */
  get nextExpiryMs(): number | null {
    const isNone = this.#nextExpiryMs === Infinity || this.isEmpty;
    return isNone ? null : this.#nextExpiryMs;
  }

  #expectEnd({ expiresAtMs }: Grant): void {
    this.#nextExpiryMs = Math.min(this.#nextExpiryMs, expiresAtMs ?? Infinity);
  }
}
