/** Nobody is let in by a key that is known to be off, nor a stranger where that is known to be private (12.9, 16.1). */
import { Violation } from "../../violation.ts";
import type { Join } from "../actions.ts";
import type { Outcome } from "../edge-model.ts";
import type { Credential } from "../guest.ts";
import type { OperatorWorld } from "../operator-world.ts";
import { isOff } from "./was-dead.ts";

/** Judges an admission. */
export function judgeAdmission(
  world: OperatorWorld,
  wish: Join,
  { topic, by, role }: Credential,
  { said }: Outcome,
): void {
  const { force, store, held } = world;
  const site = world.site(topic);
  if (typeof by === "number") {
    if (held.get(by) === true) {
      throw new Violation(`Key ${by} was let in, whose revocation the domain holds (12.7)`);
    }
    const isKnown = force.keyOn(topic, by) === store.keyNow(by).index;
    if (isKnown && isOff(world, by)) {
      throw new Violation(`Key ${by} was let in, and is known to be off (12.9)`);
    }
  }
  const { policy, index } = store.policyAt(store.nowMs);
  const isPolicyKnown = force.policyOn(topic) === index;
  if (by === "nobody" && policy.subscribers === "token") {
    const isLive = site.openPublishers.length > 0;
    if (isPolicyKnown && isLive) {
      throw new Violation("A stranger was let in to a private topic (16.1)");
    }
    if (wish.cachedSeconds === null && said?.policyAtMs && said.policyAtMs >= sinceMs(world)) {
      throw new Violation("A stranger was let in although the key store was asked (13.1)");
    }
  }
  const limit = role === "publisher" ? policy.maxPublishers : policy.maxSubscribers;
  const isLimited = role === "subscriber" || policy.publishers === "shared";
  const count = role === "publisher" ? site.openPublishers.length : site.openSubscribers.length;
  const isLive = site.openPublishers.length > (role === "publisher" ? 1 : 0);
  if (isPolicyKnown && isLimited && isLive && limit !== null && count > limit + departing(world)) {
    throw new Violation(`It is the ${count}th ${role} of at most ${limit} (16.3)`);
  }
}

/** Since when the policy is what it is. */
function sinceMs({ store }: OperatorWorld): number {
  return store.policies.at(-1)?.sinceMs ?? 0;
}

/** Whoever is on the way in may not be counted yet by whoever looks. */
function departing({ slow }: OperatorWorld): number {
  return slow === null ? 0 : 1;
}
