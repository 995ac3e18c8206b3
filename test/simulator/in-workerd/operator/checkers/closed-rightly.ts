/** Nobody is closed whose key is live, who may be there without one, or who was not displaced (12.7, 16.3). */
import { formatList } from "./policies.ts";
import type { Policy } from "../../../../../src/core/policy.ts";
import { Violation } from "../../violation.ts";
import type { Credential } from "../guest.ts";
import type { OperatorWorld } from "../operator-world.ts";
import { policiesSince } from "./policies.ts";
import { hasEnded, wasDeadSince } from "./was-dead.ts";

/** Judges how somebody was closed; false where that is not for the operator's scenarios to say. */
export function judgeClose(
  world: OperatorWorld,
  { topic, by, checkedAtMs, endsAtMs, vacantPolicy }: Credential,
  code: number,
  reason: string,
): boolean {
  const inForce = world.force.policyOn(topic);
  const policies = policiesSince(world, topic, inForce);
  switch (`${code} ${reason}`) {
    case "4501 key-rejected":
      if (typeof by !== "number") throw new Violation(`"${by}" was closed for a key (12.7)`);
      if (wasDeadSince(world, by, checkedAtMs) || hasEnded(world, topic, by)) return true;
      throw new Violation(`Key ${by}, checked at ${checkedAtMs}, is live and was closed (12.7)`);
    case "4501 token-required":
      if (by !== "nobody") throw new Violation(`"${by}" was closed as a stranger (16.3)`);
      if (policies.some(({ subscribers }) => subscribers === "token")) return true;
      throw new Violation(
        `A stranger was closed in an open domain: ${formatList(policies)} (16.3)`,
      );
    case "4401 token-expired":
      if (endsAtMs !== null && endsAtMs <= world.clock.nowMs) return true;
      throw new Violation("A token was closed before its end (13.6)");
    case "4509 publisher-displaced":
      if (policies.some(isExclusive)) return true;
      throw new Violation("A publisher was displaced on a shared topic (5.7)");
    case "1000 topic-ended":
      // Who came to a vacant topic was judged by what the edge remembered (16.1).
      if (policiesSince(world, topic, Math.min(inForce, vacantPolicy)).some(isExclusive))
        return true;
      throw new Violation("A shared topic ended (5.7)");
  }
  if (code === 1006 && !world.site(topic).mayLoseSockets) {
    throw new Violation("It was lost, and nothing had happened to its topic (5.8)");
  }
  return false;
}

function isExclusive({ publishers }: Policy): boolean {
  return publishers === "exclusive";
}
