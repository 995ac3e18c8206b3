/**
 * Watches over the keys and tokens by which a topic's sockets are here: closes those whose time is over or
 * whose key was revoked, whoever says so first: the alarm, the domain, or the key store when the key is used.
 * Asks nothing while nothing is sent. Knows neither phases nor roles.
 */
import type { Address } from "../core/address.ts";
import { KEY_REJECTED, TOKEN_EXPIRED, type Close } from "../core/close-code.ts";
import type { Grant, KeyStanding } from "../core/grant.ts";
import { logError } from "../log.ts";
import { Grants } from "./grants.ts";
import { Registration } from "./registration.ts";

/** When a registration that failed is tried again. */
const RETRY_MS = 5000;

/** What a watch needs of its topic. */
export interface WatchedTopic {
  readonly ctx: DurableObjectState;
  readonly env: Env;
  /** Known once somebody has connected. */
  address(): Address;
  /** A socket must go. */
  close(socket: WebSocket, close: Close): void;
  /** A socket's grant has changed: it must outlive hibernation. */
  regrant(socket: WebSocket, grant: Grant): void;
  /** Makes sure that the alarm fires at a time or before. */
  wakeBy(atMs: number): void;
}

/** The watch of one topic. */
export class KeyWatch {
  readonly #topic: WatchedTopic;
  readonly #grants: Grants = new Grants();
  readonly #registration: Registration;

  constructor(topic: WatchedTopic) {
    this.#topic = topic;
    this.#registration = new Registration(topic.env.DOMAIN, () => topic.address());
  }

  /** Watches a socket from now on; `null`: it needed no key. */
  add(socket: WebSocket, grant: Grant | null): void {
    if (grant !== null) this.#grants.set(socket, grant);
  }

  /** Forgets a socket. */
  remove(socket: WebSocket): void {
    this.#grants.delete(socket);
  }

  /** When the next grant ends, `null` when none does. */
  get nextExpiryMs(): number | null {
    return this.#grants.nextExpiryMs;
  }

  /** Closes whose time is over. */
  expire(nowMs: number): void {
    for (const [socket, { keyId }] of this.#grants.expired(nowMs)) {
      this.#topic.close(socket, keyId === null ? TOKEN_EXPIRED : KEY_REJECTED);
    }
  }

  /** Why a grant must not be believed, `null` when it may be. */
  async doubt(grant: Grant): Promise<"key-stale" | "topic-unavailable" | null> {
    if (grant.keyId === null) return null;
    try {
      return (await this.#registration.isStale(grant, Date.now())) ? "key-stale" : null;
    } catch (error) {
      // The domain is out of reach, overloaded or was reset: nobody gets in by what cannot be checked.
      logError({ event: "domain-unreachable", error: String(error) });
      return "topic-unavailable";
    }
  }

  /** Whether the domain may not know that this topic is live. */
  get isUnregistered(): boolean {
    return !this.#registration.isConfirmed;
  }

  /** Makes this topic known to its domain, and hears which keys were revoked. */
  register(isStart: boolean): void {
    this.#topic.ctx.waitUntil(this.#register(isStart));
  }

  /** The topic is over. */
  withdraw(): void {
    const withdrawn = this.#registration.withdraw().catch((error: unknown) => {
      // The domain is out of reach: it finds out when it next tells this topic of a key.
      logError({ event: "domain-unreachable", error: String(error) });
    });
    this.#topic.ctx.waitUntil(withdrawn);
  }

  /** Waits until the domain has heard what it was told last. */
  settled(): Promise<void> {
    return this.#registration.settled();
  }

  /** Applies what the domain says of a key; returns how many sockets were closed for it. */
  apply(keyId: number, standing: KeyStanding): number {
    const nowMs = Date.now();
    if (standing.type === "dead") this.#registration.revoke({ keyId, atMs: nowMs });
    else this.#registration.reinstate(keyId);
    return this.#settle(keyId, standing, null);
  }

  /** Looks keys up that are in use; nothing comes of it while the key store does not answer. */
  recheck(keyIds: readonly number[]): void {
    this.#topic.ctx.waitUntil(this.#recheck(keyIds));
  }

  async #register(isStart: boolean): Promise<void> {
    try {
      const revocations = await this.#registration.register(isStart);
      for (const { keyId, atMs } of revocations) {
        for (const [socket, grant] of this.#grants.heldBy(keyId)) {
          if (grant.checkedAtMs <= atMs) this.#topic.close(socket, KEY_REJECTED);
        }
      }
    } catch (error) {
      // The domain is out of reach, overloaded or was reset; the alarm tries again.
      logError({ event: "domain-unreachable", error: String(error) });
      this.#topic.wakeBy(Date.now() + RETRY_MS);
    }
  }

  async #recheck(keyIds: readonly number[]): Promise<void> {
    const { ctx } = this.#topic;
    try {
      const { domain } = this.#topic.address();
      const answer = await ctx.exports.KeyDesk.standings(domain, keyIds);
      if (answer === null) return;
      for (const { keyId, standing } of answer.standings) {
        this.#settle(keyId, standing, answer.checkedAtMs);
      }
    } catch (error) {
      // The edge is out of reach, which says nothing about the keys.
      logError({ event: "key-desk-unreachable", error: String(error) });
    }
  }

  /** Closes or renews the sockets of a key; `checkedAtMs` is `null` when nobody asked the key store just now. */
  #settle(keyId: number, standing: KeyStanding, checkedAtMs: number | null): number {
    let closed = 0;
    for (const [socket, grant] of this.#grants.heldBy(keyId)) {
      if (standing.type === "dead") {
        // A grant that is newer than the answer was given after the key was switched on again.
        if (checkedAtMs !== null && grant.checkedAtMs > checkedAtMs) continue;
        this.#topic.close(socket, KEY_REJECTED);
        closed += 1;
      } else {
        const { expiresAtMs } = standing;
        const renewed = { ...grant, expiresAtMs, checkedAtMs: checkedAtMs ?? grant.checkedAtMs };
        this.#grants.set(socket, renewed);
        this.#topic.regrant(socket, renewed);
        if (expiresAtMs !== null) this.#topic.wakeBy(expiresAtMs);
      }
    }
    return closed;
  }
}
