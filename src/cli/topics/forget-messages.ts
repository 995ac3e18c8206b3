/** `wspubsub topics forget`: has a topic forget what was published. */
import { UserError } from "../../local/fail.ts";
import { count } from "../output/count.ts";
import type { Session } from "../session.ts";

/** Has it forgotten; that there was nothing is no failure. */
export async function forgetMessages(
  session: Session,
  domain: string,
  topic: string,
): Promise<void> {
  const forgotten = await session.hub.forgetMessages(domain, topic);
  if (!forgotten.ok) {
    const { isNotFound, message } = forgotten.error;
    const hint = isNotFound ? ": a hub of a version before cannot forget messages" : "";
    throw new UserError(`${message}${hint}`);
  }
  const { messages } = forgotten.value;
  session.print(
    forgotten.value,
    `Forgot ${count(messages, "message")} of "${topic}" of "${domain}".`,
  );
}
