/** `wspubsub topics show --sockets`: the sockets of a topic, as they are now. */
import { UserError } from "../../local/fail.ts";
import { formatTable } from "../output/format-table.ts";
import type { SocketStatus } from "../hub-answers.ts";
import type { Session } from "../session.ts";
import { isUnknown, unknownTopic } from "./unknown-topic.ts";

/** What to list. */
export interface ListSocketsOptions {
  readonly domain: string;
  readonly topic: string;
  readonly limit?: number | undefined;
}

const DEFAULT_LIMIT = 100;
const HEADINGS = ["role", "protocol", "since", "key", "subject", "country", "waiting", "behind"];

/** Lists them, publishers first. */
export async function listSockets(
  session: Session,
  { domain, topic, limit = DEFAULT_LIMIT }: ListSocketsOptions,
): Promise<void> {
  const list = await session.hub.listSockets(domain, topic, limit);
  if (!list.ok) {
    const hint = list.error.isNotFound ? ": a hub of a version before cannot list sockets" : "";
    throw new UserError(`${list.error.message}${hint}`);
  }
  const { sockets, publishers, subscribers } = list.value;
  if (isUnknown(list.value)) throw unknownTopic(domain, topic);
  session.print(list.value, formatTable(HEADINGS, sockets.map(rowOf)));
  if (sockets.length === 0) session.note("Nobody is connected now.");
  const all = publishers + subscribers;
  if (all > sockets.length) session.note(`These are ${sockets.length} of ${all} sockets.`);
}

function rowOf(socket: SocketStatus): string[] {
  const { role, protocol, since, key, subject, country } = socket;
  return [
    role,
    protocol,
    since ?? "-",
    String(key ?? "-"),
    subject ?? "-",
    country ?? "-",
    `${socket.bytes_waiting} B`,
    String(socket.messages_behind ?? "-"),
  ];
}
