/** Topics that are not there: the hub says of any name how the topic is, also where nobody ever used it. */
import { UserError } from "../../local/fail.ts";
import type { TopicStatus } from "../hub-answers.ts";

/** Whether nobody has started a topic, and nobody waits for it. */
export function isUnknown({
  phase,
  publishers,
  subscribers,
}: Pick<TopicStatus, "phase" | "publishers" | "subscribers">): boolean {
  return phase === "vacant" && publishers + subscribers === 0;
}

/** The error for one. */
export function unknownTopic(domain: string, topic: string): UserError {
  return new UserError(
    `There is no topic "${topic}" of "${domain}" now: nobody publishes, and nobody waits`,
  );
}
