/**
 * Which of the key store's states are in force where: from then on an older one must not undo it. What the domain was
 * told stays in force; what a topic learnt by itself is forgotten with its memory or its life. Keys and policies are
 * known by the index of their state, which rises.
 */
import { TOPICS } from "./actions.ts";

/** What is in force on the topics of a domain. */
export class Force {
  readonly #keys: Map<string, number> = new Map();
  readonly #policies: number[] = Array.from({ length: TOPICS }, () => 0);
  readonly #learntKeys: Map<string, number> = new Map();
  readonly #learntPolicies: Map<number, number> = new Map();

  /** The least state of a key that may be in force on a topic. */
  keyOn(topic: number, keyId: number): number {
    const name = `${topic}/${keyId}`;
    return Math.max(this.#keys.get(name) ?? 0, this.#learntKeys.get(name) ?? 0);
  }

  /** The same of the policy. */
  policyOn(topic: number): number {
    return Math.max(this.#policies[topic] ?? 0, this.#learntPolicies.get(topic) ?? 0);
  }

  /** A state of a key is in force on a topic. */
  raiseKey(topic: number, keyId: number, index: number): void {
    const name = `${topic}/${keyId}`;
    this.#keys.set(name, Math.max(index, this.#keys.get(name) ?? 0));
  }

  /** A policy is. */
  raisePolicy(topic: number, index: number): void {
    this.#policies[topic] = Math.max(index, this.#policies[topic] ?? 0);
  }

  /** A topic has learnt a policy from the key store. */
  learnPolicy(topic: number, index: number): void {
    this.#learntPolicies.set(topic, Math.max(index, this.policyOn(topic)));
  }

  /** The same of a key. */
  learnKey(topic: number, keyId: number, index: number): void {
    this.#learntKeys.set(`${topic}/${keyId}`, Math.max(index, this.keyOn(topic, keyId)));
  }

  /** A topic has lost its memory, or its life. */
  forget(topic: number): void {
    this.#learntPolicies.delete(topic);
    this.forgetKeys();
  }

  /** Who comes by a key that was changed by hand may bring an older word of it. */
  forgetKeys(): void {
    this.#learntKeys.clear();
  }
}
