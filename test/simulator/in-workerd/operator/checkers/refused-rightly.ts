/** Nobody is refused but for what the key store says, or lately said, or because it cannot be asked. */
import type { Policy } from "../../../../../src/core/policy.ts";
import { Violation } from "../../violation.ts";
import type { Join } from "../actions.ts";
import type { Outcome } from "../edge-model.ts";
import type { Credential } from "../guest.ts";
import type { OperatorWorld } from "../operator-world.ts";
import { oldestSaid, policiesSince } from "./policies.ts";
import { hasEnded, wasDeadSince } from "./was-dead.ts";

/** Judges a refusal. */
export function judgeRefusal(
  world: OperatorWorld,
  wish: Join,
  { topic, by, checkedAtMs, endsAtMs }: Credential,
  { answer, said }: Outcome,
): void {
  const index = Math.min(world.force.policyOn(topic), oldestSaid(world, said));
  const isAny = (allows: (policy: Policy) => boolean): boolean =>
    policiesSince(world, topic, index).some(allows);
  const isRight = ((): boolean => {
    switch (answer) {
      // The edge's own: the model said so.
      case "denied":
      // The object died meanwhile.
      case "unavailable":
        return true;
      case "key-store-unavailable":
        return !world.store.isUp;
      case "key-rejected":
        return (
          typeof by === "number" &&
          (wasDeadSince(world, by, checkedAtMs) || hasEnded(world, topic, by))
        );
      case "token-expired":
        return endsAtMs !== null && endsAtMs <= world.clock.nowMs;
      case "token-required":
        return by === "nobody" && isAny(({ subscribers }) => subscribers === "token");
      case "publisher-conflict":
        return (
          wish.type === "publisher" &&
          !wish.takeover &&
          isAny(({ publishers }) => publishers === "exclusive")
        );
      case "topic-not-live":
        return wish.type === "subscriber" && isAny(({ publishers }) => publishers === "exclusive");
      case "too-many-publishers":
        return isAny(({ maxPublishers }) => maxPublishers !== null);
      case "too-many-subscribers":
        return isAny(({ maxSubscribers }) => maxSubscribers !== null);
      default:
        return false;
    }
  })();
  if (typeof answer === "string" && !isRight) {
    throw new Violation(`"${by}" was refused: ${answer}`);
  }
}
