/**
 * The key store of a scenario: what every key and the domain's policy were at every time by the store's own clock,
 * which never goes backwards. Answers are given as of now, or as of a past time as a cache would give them.
 */
import type { KeyStanding } from "../../../../src/core/change.ts";
import { DEFAULT_POLICY, type Policy } from "../../../../src/core/policy.ts";
import type { Clock } from "../../../support-in-workerd/clock.ts";
import { MAX_MESSAGE_BYTES } from "../scenario.ts";
import type { KeyEdit, PolicyEdit } from "./actions.ts";

/** A key of which nothing is ever changed. */
export const HOUSE_KEY = 99;

/** What holds from a time on, until the next such. */
interface Since {
  readonly sinceMs: number;
}

/** What a key's row says. */
export interface KeyState extends Since {
  readonly isActive: boolean;
  readonly isRevoked: boolean;
  readonly expiresAtMs: number | null;
}

/** What a domain's row says. */
export interface PolicyState extends Since {
  readonly policy: Policy;
}

/** What the store says of a key, and which of its states that was. */
export interface KeyAnswer {
  readonly standing: KeyStanding;
  readonly atMs: number;
  readonly index: number;
  readonly isForGood: boolean;
}

/** What the store says of the domain. */
export interface PolicyAnswer {
  readonly policy: Policy;
  readonly atMs: number;
  readonly index: number;
}

/** The store. */
export class KeyStoreModel {
  isUp = true;
  readonly #clock: Clock;
  readonly #skewMs: number;
  readonly #keys: Map<number, KeyState[]> = new Map();
  readonly #policies: PolicyState[];
  #lastMs = 0;

  constructor(clock: Clock, skewMs: number, policy: PolicyEdit) {
    this.#clock = clock;
    this.#skewMs = skewMs;
    this.#policies = [{ policy: complete(policy), sinceMs: 0 }];
  }

  /** Its clock, without a question: the latest time that an answer may bear. */
  get nowMs(): number {
    return Math.max(this.#lastMs, this.#clock.nowMs + this.#skewMs);
  }

  /** Everything that a key was, the oldest first. */
  statesOf(keyId: number): readonly KeyState[] {
    return this.#statesOf(keyId);
  }

  /** Everything that the policy was, the oldest first. */
  get policies(): readonly PolicyState[] {
    return this.#policies;
  }

  /** What a key is now. */
  keyNow(keyId: number): KeyAnswer {
    return this.keyAt(keyId, this.nowMs);
  }

  /** Answers a question that is asked now; no two have the same time. */
  askKey(keyId: number): KeyAnswer {
    return this.keyAt(keyId, this.#tick());
  }

  /** The same of the domain. */
  askPolicy(): PolicyAnswer {
    return this.policyAt(this.#tick());
  }

  /** Both in one answer. */
  ask(keyIds: readonly number[]): { keys: KeyAnswer[]; policy: PolicyAnswer } {
    const atMs = this.#tick();
    return { keys: keyIds.map((keyId) => this.keyAt(keyId, atMs)), policy: this.policyAt(atMs) };
  }

  /** What it would have answered at a time. */
  keyAt(keyId: number, atMs: number): KeyAnswer {
    const states = this.#statesOf(keyId);
    const index = indexAt(states, atMs);
    const state = states[index];
    if (state === undefined) throw new Error(`No state of key ${keyId} at ${atMs}`);
    const { isActive, isRevoked, expiresAtMs } = state;
    const isDead = !isActive || isRevoked || (expiresAtMs !== null && expiresAtMs <= atMs);
    const standing: KeyStanding = isDead ? { type: "dead" } : { type: "live", expiresAtMs };
    return { standing, atMs, index, isForGood: isRevoked };
  }

  /** The same of the domain. */
  policyAt(atMs: number): PolicyAnswer {
    const index = indexAt(this.#policies, atMs);
    const state = this.#policies[index];
    if (state === undefined) throw new Error(`No policy at ${atMs}`);
    return { policy: state.policy, atMs, index };
  }

  /** An operator changes a key. */
  edit(keyId: number, edit: KeyEdit): void {
    const before = this.#last(keyId);
    switch (edit.type) {
      case "switch":
        this.#put(keyId, { ...before, isActive: edit.isActive });
        break;
      case "end": {
        const { inSeconds } = edit;
        const expiresAtMs = inSeconds === null ? null : this.nowMs + inSeconds * 1000;
        this.#put(keyId, { ...before, expiresAtMs });
        break;
      }
    }
  }

  /** Revokes a key for good; returns when that was. */
  revoke(keyId: number): number {
    const before = this.#last(keyId);
    if (!before.isRevoked) this.#put(keyId, { ...before, isRevoked: true });
    return this.#tick();
  }

  /** An operator changes what the domain allows. */
  setPolicy(edit: PolicyEdit): void {
    this.#policies.push({ policy: complete(edit), sinceMs: this.#tick() });
  }

  #statesOf(keyId: number): KeyState[] {
    let states = this.#keys.get(keyId);
    if (states === undefined) {
      states = [{ isActive: true, isRevoked: false, expiresAtMs: null, sinceMs: 0 }];
      this.#keys.set(keyId, states);
    }
    return states;
  }

  #last(keyId: number): KeyState {
    const last = this.#statesOf(keyId).at(-1);
    if (last === undefined) throw new Error(`Key ${keyId} has no state`);
    return last;
  }

  #put(keyId: number, state: KeyState): void {
    this.#statesOf(keyId).push({ ...state, sinceMs: this.#tick() });
  }

  #tick(): number {
    this.#lastMs = Math.max(this.#lastMs + 1, this.#clock.nowMs + this.#skewMs);
    return this.#lastMs;
  }
}

function complete(edit: PolicyEdit): Policy {
  return { ...DEFAULT_POLICY, maxMessageBytes: MAX_MESSAGE_BYTES, ...edit };
}

/** The index of the last that held at a time. */
function indexAt(states: readonly Since[], atMs: number): number {
  return states.findLastIndex(({ sinceMs }) => sinceMs <= atMs);
}
