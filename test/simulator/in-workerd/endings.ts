/**
 * Why the topic of a scenario may have ended by now: whoever is told of an end is told why (PROTOCOL.md, 10.6). Knows
 * no clients.
 */
import type { EndReason } from "../../../src/core/end-reason.ts";
import { Violation } from "./violation.ts";

/** The ends that there may have been. */
export class Endings {
  readonly #reasons: Set<EndReason> = new Set();

  /** From now on the topic may have ended for this reason. */
  allow(reason: EndReason): void {
    this.#reasons.add(reason);
  }

  /** Whether it may have ended at all, or for a reason. */
  mayBe(reason?: EndReason): boolean {
    return reason === undefined ? this.#reasons.size > 0 : this.#reasons.has(reason);
  }

  /** Somebody was told why. */
  check(reason: EndReason): void {
    if (!this.mayBe(reason))
      throw new Violation(`It says that the topic ended as ${reason} (10.6)`);
  }
}
