/** Which of the members counts that carry the place of the log: one of them should, and a version before left more. */
import { Publisher } from "./publisher.ts";
import type { SubscriberMember } from "./subscriber-member.ts";

/** Those that carry one, the one whose counts at first: the newest. */
export function rankCarriers(
  members: readonly (Publisher | SubscriberMember)[],
): (Publisher | SubscriberMember)[] {
  const carriers = members.filter(({ attachment }) => (attachment.log ?? null) !== null);
  return carriers.toSorted(
    (one, two) => rankOf(one) - rankOf(two) || offsetOf(two) - offsetOf(one),
  );
}

/** A publisher's counts more: a version before left what a subscriber carried as it was. */
function rankOf(member: Publisher | SubscriberMember): number {
  return member instanceof Publisher ? 0 : 1;
}

function offsetOf({ attachment }: Publisher | SubscriberMember): number {
  return attachment.log?.offset ?? -1;
}
