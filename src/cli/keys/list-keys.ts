/** `wspubsub keys list`: what keys there are. */
import { formatDate, formatDay } from "../output/format-date.ts";
import { formatTable } from "../output/format-table.ts";
import { keyJson } from "./key-row.ts";
import type { Session } from "../session.ts";

const HEADINGS = ["id", "domain", "hint", "username", "created", "state", "expires", "used"];

/** Lists the keys of a domain, or of all. */
export async function listKeys(session: Session, domain: string | null): Promise<void> {
  const keys = await session.store.listKeys(domain);
  const rows = keys.map((key) => [
    String(key.id),
    key.domain,
    key.hint,
    key.username ?? "-",
    formatDate(key.createdAt),
    key.state,
    formatDate(key.expiresAt),
    formatDay(key.lastUsedAt),
  ]);
  session.print({ keys: keys.map(keyJson) }, formatTable(HEADINGS, rows));
  if (keys.length === 0) {
    session.note(domain === null ? "There are no keys yet." : `"${domain}" has no keys.`);
  }
}
