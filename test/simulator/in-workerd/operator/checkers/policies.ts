/** Which policies a topic may go by. */
import type { Policy } from "../../../../../src/core/policy.ts";
import type { OperatorWorld } from "../operator-world.ts";

/** Those from a state of the policy on. */
export function policiesSince(
  { store }: OperatorWorld,
  _topic: number,
  index: number,
): readonly Policy[] {
  return store.policies.slice(index).map(({ policy }) => policy);
}

/** What tells them apart, for a report. */
export function formatList(policies: readonly Policy[]): string {
  return policies
    .map(({ publishers, subscribers }) => `${publishers} and ${subscribers}`)
    .join(", ");
}
