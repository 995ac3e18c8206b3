/** What the domain allows holds for those who are there, once it is in force on a topic (16.1, 16.3). */
import { within } from "../../deadline.ts";
import { Violation } from "../../violation.ts";
import type { OperatorWorld } from "../operator-world.ts";
import type { TopicSite } from "../topic-site.ts";

/** Checks a topic on which the newest policy is in force. */
export async function expectPolicyHolds(world: OperatorWorld, site: TopicSite): Promise<void> {
  const { index, policy } = world.store.policyAt(world.store.nowMs);
  if (world.force.policyOn(site.number) !== index) return;
  const stored = await site.stored();
  // A vacant topic is not told: the next publisher's policy is applied before its first message.
  if (stored.policy === null) return;
  if (inOrder(stored.policy) !== inOrder(policy)) {
    throw new Violation(
      `Topic ${site.number} goes by ${JSON.stringify(stored.policy)}, not by policy ${index} (16.1)`,
    );
  }
  if (policy.subscribers === "token") {
    for (const { by, client } of site.openSubscribers) {
      if (by !== "nobody") continue;
      await within(client.gone, () => `${client.name} is a stranger on a private topic (16.3)`);
    }
  }
  if (policy.publishers === "exclusive" && site.openPublishers.length > 1) {
    const names = site.openPublishers.map(({ client }) => client.name).join(", ");
    throw new Violation(`An exclusive topic has more than one publisher: ${names} (16.3)`);
  }
}

function inOrder(policy: object): string {
  return JSON.stringify(Object.entries(policy).toSorted(([a], [b]) => (a < b ? -1 : 1)));
}
