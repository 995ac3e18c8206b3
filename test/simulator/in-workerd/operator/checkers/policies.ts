/** Which policies a topic may go by. */
import type { Admission } from "../../../../../src/core/admission.ts";
import type { Policy } from "../../../../../src/core/policy.ts";
import type { OperatorWorld } from "../operator-world.ts";
import { TOLERANCE_MS } from "./tolerance.ts";

/** Those from a state of the policy on. */
export function policiesSince(
  { store }: OperatorWorld,
  _topic: number,
  index: number,
): readonly Policy[] {
  return store.policies.slice(index).map(({ policy }) => policy);
}

/** The oldest state of the policy that may have come with an admission; `Infinity`: none did. */
export function oldestSaid({ store }: OperatorWorld, said: Admission | null): number {
  if (said?.policyAtMs === undefined || said.policy === null) return Infinity;
  return store.policyAt(Math.max(0, said.policyAtMs - TOLERANCE_MS)).index;
}

/** What tells them apart, for a report. */
export function formatList(policies: readonly Policy[]): string {
  return policies
    .map(({ publishers, subscribers }) => `${publishers} and ${subscribers}`)
    .join(", ");
}
