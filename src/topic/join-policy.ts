/** By which policy a join is judged: what comes with it, or what the topic knows, whichever is newer. */
import type { PublisherAdmission, SubscriberAdmission } from "../core/admission.ts";
import { judgePolicy } from "../core/judge.ts";
import type { DatedPolicy, Policy } from "../core/policy.ts";
import type { Lifecycle } from "./lifecycle.ts";
import type { Log } from "./log.ts";

/**
 * That of a subscriber: the topic's policy. A vacant topic is not told of changes, and what it has heard may be long
 * ago: there the edge says what it remembers, `null` where it has not, and the newer of the two counts.
 */
export function policyFor(
  { policy, policyAtMs }: SubscriberAdmission,
  { state, knownPolicy }: Lifecycle,
): Policy | null {
  if (state.phase !== "vacant") return state.policy;
  if (policy === null) return null;
  return knownPolicy !== null && knownPolicy.atMs > policyAtMs ? knownPolicy.policy : policy;
}

/** That of a publisher: the newest that is known, `null` when the key store must be asked for it again. */
export function newestPolicy(
  { policy, policyAtMs, isFresh, isRechecked }: PublisherAdmission,
  { knownPolicy }: Lifecycle,
  log: Log,
): DatedPolicy | null {
  const newest = judgePolicy(knownPolicy, { policy, atMs: policyAtMs }, isRechecked);
  if (newest === null || isFresh) return newest;
  // What the log has is given up on a fresh word only.
  const isOlder = newest.atMs < log.policyAtMs && log.wouldChange(newest.policy);
  return isOlder || log.wouldKeepLess(newest.policy) ? null : newest;
}
