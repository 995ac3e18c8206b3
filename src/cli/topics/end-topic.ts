/** `wspubsub topics end`: ends a topic for all that are there. */
import { UserError } from "../../local/fail.ts";
import type { Session } from "../session.ts";
import { unknownTopic } from "./unknown-topic.ts";

/** Ends it; throws a UserError where there is nothing to end. */
export async function endTopic(session: Session, domain: string, topic: string): Promise<void> {
  const ended = await session.hub.endTopic(domain, topic);
  if (!ended.ok) {
    throw ended.error.isNotFound ? unknownTopic(domain, topic) : new UserError(ended.error.message);
  }
  session.print(ended.value, `Ended "${topic}" of "${domain}".`);
}
