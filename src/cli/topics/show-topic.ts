/** `wspubsub topics show`: one topic as it is now. */
import { UserError } from "../../local/fail.ts";
import { formatTable } from "../output/format-table.ts";
import type { Session } from "../session.ts";
import { isUnknown, unknownTopic } from "./unknown-topic.ts";

/** Shows it; throws a UserError for one that nobody has started. */
export async function showTopic(session: Session, domain: string, topic: string): Promise<void> {
  const status = await session.hub.showTopic(domain, topic);
  if (!status.ok) throw new UserError(status.error.message);
  if (isUnknown(status.value)) throw unknownTopic(domain, topic);
  const { phase, publishers, subscribers, since } = status.value;
  const row = [topic, phase, String(publishers), String(subscribers), since ?? "-"];
  session.print(
    status.value,
    formatTable(["topic", "phase", "publishers", "subscribers", "since"], [row]),
  );
}
