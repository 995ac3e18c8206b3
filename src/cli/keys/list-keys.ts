/** `wspubsub keys list`: what keys there are. */
import { formatDate, formatDay } from "../output/format-date.ts";
import { formatTable } from "../output/format-table.ts";
import { keyJson } from "./key-row.ts";
import type { Session } from "../session.ts";

const HEADINGS = ["id", "domain", "hint", "username", "created", "state", "expires", "used"];

/** Lists the keys of a domain, or of all. */
export async function listKeys(session: Session, domain: string | null): Promise<void> {
  const { keys, unreadable } = await session.store.listKeys(domain);
  const rows = keys.map((key) => [
    String(key.id),
    key.domain || "-",
    key.hint || "-",
    key.username ?? "-",
    formatDate(key.createdAt),
    key.state,
    formatDate(key.expiresAt),
    formatDay(key.lastUsedAt),
  ]);
  session.print({ keys: keys.map(keyJson) }, formatTable(HEADINGS, rows));
  if (unreadable.length > 0) {
    session.note(
      `Not listed, since their number is none that the hub takes: ${unreadable.join(", ")}. ` +
        "npm run db:apply says what to do",
    );
  } else if (keys.length === 0) {
    session.note(domain === null ? "There are no keys yet." : `"${domain}" has no keys.`);
  }
}
