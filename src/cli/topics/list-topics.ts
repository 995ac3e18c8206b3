/** `wspubsub topics list`: the topics that are there now. */
import { UserError } from "../../local/fail.ts";
import { formatTable } from "../output/format-table.ts";
import { shellQuote } from "../output/shell-quote.ts";
import type { Session } from "../session.ts";

/** Its options. */
export interface ListTopicsOptions {
  readonly limit?: number;
  readonly after?: string;
}

/** Lists a page of them. */
export async function listTopics(
  session: Session,
  domain: string,
  options: ListTopicsOptions,
): Promise<void> {
  const list = await session.hub.listTopics(domain, options);
  if (!list.ok) throw new UserError(list.error.message);
  const { topics, next } = list.value;
  const rows = topics.map(({ topic, since }) => [topic, since]);
  session.print(list.value, formatTable(["topic", "since"], rows));
  if (topics.length === 0) session.note(`"${domain}" has no topics now.`);
  if (next !== null) session.note(`There are more: --after=${shellQuote(next)}`);
}
