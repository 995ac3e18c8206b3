/** Who asks the topic to be let in, as the edge says it. */
import type { Admission } from "../../../src/core/admission.ts";
import type { Grant } from "../../../src/core/grant.ts";
import type { Policy } from "../../../src/core/policy.ts";
import type { Protocol } from "./actions.ts";

/** A publisher, by the token of an owner; the first one has none. */
export function publisherAdmission(
  protocol: Protocol,
  takeover: boolean,
  owner: number,
  policy: Policy,
): Admission {
  return {
    v: 1,
    role: "publisher",
    subprotocol: subprotocolOf(protocol),
    takeover,
    heartbeatSeconds: null,
    policy,
    policyAtMs: 1,
    grant: owner === 0 ? null : tokenOf(`subject ${owner}`),
    isKeyInPath: false,
    isFresh: true,
    isRechecked: false,
  };
}

/** A subscriber; the policy is said where the topic needs it. */
export function subscriberAdmission(
  protocol: Protocol,
  since: string | null,
  gap: "skip" | "close",
  policy: Policy | null,
): Admission {
  return {
    v: 1,
    role: "subscriber",
    subprotocol: subprotocolOf(protocol),
    since,
    gap,
    policy,
    policyAtMs: 1,
    grant: null,
    isFresh: true,
    isRechecked: false,
  };
}

function tokenOf(subject: string): Grant {
  return { keyId: null, subject, expiresAtMs: null, checkedAtMs: 1 };
}

function subprotocolOf(protocol: Protocol): "wspubsub.v1" | null {
  return protocol === "stream" ? "wspubsub.v1" : null;
}
