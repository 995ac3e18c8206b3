/**
 * The way in for sockets that present a key, or publish by a token: the domain knows of the key, and of the life that
 * may begin, before anything is decided. Knows neither sockets nor messages.
 * Invariant: a life that the domain was told of begins, or the domain is told that it did not.
 */
import type { Admission, Answer } from "../core/admission.ts";
import { isTokenGrant } from "../core/grant.ts";
import type { KeyWatch } from "./key-watch.ts";
import type { Lifecycle } from "./lifecycle.ts";

/** The parts of a topic that it asks. */
export interface EnteredParts {
  readonly keyWatch: KeyWatch;
  readonly lifecycle: Lifecycle;
}

/** Whether the domain has to know before somebody is let in. */
export function isEntered({ role, grant }: Admission): boolean {
  return (grant?.keyId ?? null) !== null || (role === "publisher" && isTokenGrant(grant));
}

/** The entrance of one topic. */
export class Entrance {
  readonly #parts: EnteredParts;
  /** Names the life that begins with the next publisher, which the domain may know already. */
  #nextLife: string | null = null;

  constructor(parts: EnteredParts) {
    this.#parts = parts;
  }

  /** Whether a life is about to begin: the domain was told of it. */
  get isLifeBeginning(): boolean {
    return this.#nextLife !== null;
  }

  /** Names the life that begins with the next publisher. */
  get nextLife(): string {
    return this.#nextLife ?? crypto.randomUUID();
  }

  /** That life is under way. */
  lifeBegan(): void {
    this.#nextLife = null;
  }

  /** Has an admission decided on once the domain knows of it; without a pause from what was heard of its key on. */
  async enter<T>(
    admission: Admission,
    decide: (admission: Admission) => T | Answer,
  ): Promise<T | Answer> {
    if (!isEntered(admission)) return decide(admission);
    const { keyWatch, lifecycle } = this.#parts;
    const keyId = admission.grant?.keyId ?? null;
    // A publisher may be about to begin a life, of which the domain must know before anybody is in.
    const isStarting = admission.role === "publisher" && lifecycle.life === null;
    const { policy, policyAtMs } = admission;
    const bound = lifecycle.boundBy(policy === null ? null : { policy, atMs: policyAtMs });
    // Only a ticket's holder on a vacant topic: nothing is entered before it is known how much may be.
    if (bound === null) return { type: "needs", what: "policy" };
    const life = isStarting ? (this.#nextLife ??= crypto.randomUUID()) : lifecycle.life;
    try {
      return await keyWatch.join<T | Answer>({ keyId, life, bound }, (entering) => {
        if (entering === "too-many-topics") return { type: "refused", slug: entering };
        // What was asked for just now holds without the domain's word, until that can be had.
        const isDoubtful = entering === "unreachable" && !admission.isFresh;
        if (isDoubtful) return { type: "needs", what: "recheck" };
        return this.#judge(admission, keyId, decide);
      });
    } finally {
      this.#giveUpNextLife();
    }
  }

  /** Goes on given what was heard of a key; of a token nothing is. */
  #judge<T>(
    admission: Admission,
    keyId: number | null,
    decide: (admission: Admission) => T | Answer,
  ): T | Answer {
    const { grant, isRechecked } = admission;
    if (grant === null || keyId === null) return decide(admission);
    const verdict = this.#parts.keyWatch.judge(grant, keyId, isRechecked);
    switch (verdict.type) {
      case "good":
        return decide({ ...admission, grant: verdict.grant });
      case "dead":
        return { type: "refused", slug: "key-rejected" };
      case "doubtful":
        return { type: "needs", what: "recheck" };
    }
  }

  /** Gives up a life that the domain was told of and that did not begin. */
  #giveUpNextLife(): void {
    const { keyWatch } = this.#parts;
    const life = this.#nextLife;
    if (life === null || keyWatch.isJoining) return;
    this.#nextLife = null;
    if (keyWatch.registration.covers(life, [])) keyWatch.withdraw(life);
  }
}
