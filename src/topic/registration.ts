/**
 * A topic's place in its domain's register, and what it therefore knows of revoked keys: as long as it is
 * registered, the domain tells it of every one. After a wake or a failure it must register again before it
 * can rely on that. Knows nothing of sockets.
 */
import type { Address } from "../core/address.ts";
import { mayPrecede, type Grant, type Revocation } from "../core/grant.ts";
import type { Domain } from "../domain/domain.ts";

/** A grant younger than this was given for this very connect: a query and the way here take no longer. */
const JUST_CHECKED_MS = 3000;

/** The registration of one topic. */
export class Registration {
  readonly #domains: DurableObjectNamespace<Domain>;
  readonly #address: () => Address;
  /** This topic's alone. */
  #domain: DurableObjectStub<Domain> | null = null;
  #isConfirmed = false;
  /** By key, when it was revoked. */
  readonly #revocations: Map<number, Revocation> = new Map();
  /** What was told to the domain last; calls of one stub arrive in their order. */
  #told: Promise<unknown> = Promise.resolve();

  /** The address need not be known before something is asked. */
  constructor(domains: DurableObjectNamespace<Domain>, address: () => Address) {
    this.#domains = domains;
    this.#address = address;
  }

  /** Whether the domain tells this topic of what it revokes. */
  get isConfirmed(): boolean {
    return this.#isConfirmed;
  }

  /** Registers; returns what was revoked of late. Rejects when the domain cannot be reached. */
  async register(isStart: boolean): Promise<readonly Revocation[]> {
    const answer = this.#ask((domain, topic) => domain.register(topic, isStart));
    this.#told = answer;
    const revocations = await answer;
    // Unless it ended meanwhile.
    if (this.#told === answer) this.#isConfirmed = true;
    for (const revocation of revocations) this.revoke(revocation);
    return revocations;
  }

  /** Strikes the topic from the register, which is over; rejects when the domain cannot be reached. */
  async withdraw(): Promise<void> {
    this.#isConfirmed = false;
    this.#revocations.clear();
    const answer = this.#ask((domain, topic) => domain.unregister(topic, Date.now()));
    this.#told = answer;
    await answer;
  }

  /** Waits until the domain has heard what it was told last. */
  async settled(): Promise<void> {
    await Promise.allSettled([this.#told]);
  }

  /** Takes the domain's word that a key opens nothing since then. */
  revoke(revocation: Revocation): void {
    this.#revocations.set(revocation.keyId, revocation);
  }

  /** Takes the domain's word that a key opens again. */
  reinstate(keyId: number): void {
    this.#revocations.delete(keyId);
  }

  /** Whether a key's grant may be older than its revocation. Rejects when the domain must be asked and is out of reach. */
  async isStale(grant: Grant, nowMs: number): Promise<boolean> {
    const isJustChecked = nowMs - grant.checkedAtMs < JUST_CHECKED_MS;
    const revocations =
      this.#isConfirmed || isJustChecked
        ? [...this.#revocations.values()]
        : await this.#ask((domain) => domain.revocations());
    return revocations.some((revocation) => mayPrecede(grant, revocation));
  }

  /** Asks over the one stub, whose calls arrive in their order; one that failed may be broken for good. */
  async #ask<T>(
    question: (domain: DurableObjectStub<Domain>, topic: string) => Promise<T>,
  ): Promise<T> {
    const { domain, topic } = this.#address();
    this.#domain ??= this.#domains.getByName(domain);
    try {
      return await question(this.#domain, topic);
    } catch (error) {
      this.#domain = null;
      throw error;
    }
  }
}
