/**
 * What an object makes of a grant or a policy that comes with an admission, given what it has heard itself: the
 * newer of the two counts, by the key store's clock. Where it cannot be told which is newer, and the admission came
 * out of a cache, the key store must be asked again.
 */
import { HELD_AT_MS, type KeyChange } from "./change.ts";
import { mayPrecede } from "./clock.ts";
import type { Grant } from "./grant.ts";
import { POLICY_FIELDS, type DatedPolicy, type Policy } from "./policy.ts";

/** What becomes of a grant. */
export type GrantVerdict =
  | { readonly type: "good"; readonly grant: Grant }
  | { readonly type: "dead" }
  | { readonly type: "doubtful" };

/**
 * Judges the grant of a key by the last change of that key; `isRechecked`: the key store was asked for it after
 * the change was known. One that was asked before may be stamped later all the same.
 */
export function judgeGrant(
  grant: Grant,
  { standing, atMs }: KeyChange,
  isRechecked: boolean,
  nowMs: number,
): GrantVerdict {
  if (atMs === HELD_AT_MS) return { type: "dead" };
  const isOlder = grant.checkedAtMs <= atMs;
  switch (standing.type) {
    case "dead":
      return isOlder || (!isRechecked && mayPrecede(grant.checkedAtMs, atMs))
        ? { type: "doubtful" }
        : { type: "good", grant };
    case "live": {
      const { expiresAtMs } = standing;
      if (isOlder) {
        return expiresAtMs !== null && expiresAtMs <= nowMs
          ? { type: "dead" }
          : { type: "good", grant: { ...grant, expiresAtMs, checkedAtMs: atMs } };
      }
      const isDoubtful = !isRechecked && mayPrecede(grant.checkedAtMs, atMs);
      return isDoubtful && expiresAtMs !== grant.expiresAtMs
        ? { type: "doubtful" }
        : { type: "good", grant };
    }
  }
}

/** Judges a policy beside the one that is known; `null`: the key store must be asked again. */
export function judgePolicy(
  known: DatedPolicy | null,
  offered: DatedPolicy,
  isRechecked: boolean,
): DatedPolicy | null {
  if (known === null || isSamePolicy(known.policy, offered.policy)) {
    return { policy: offered.policy, atMs: Math.max(offered.atMs, known?.atMs ?? 0) };
  }
  if (offered.atMs <= known.atMs) return known;
  return !isRechecked && mayPrecede(offered.atMs, known.atMs) ? null : offered;
}

/** Whether two policies allow the same. */
export function isSamePolicy(one: Policy, other: Policy): boolean {
  return one === other || POLICY_FIELDS.every((field) => one[field] === other[field]);
}
