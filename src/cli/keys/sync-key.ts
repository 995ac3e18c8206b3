/**
 * Telling the hub that a key has changed, so that it acts at once. The change is in Postgres already: a
 * hub that cannot be told looks for itself within a minute, so this never fails.
 */
import type { KeyRow } from "./key-row.ts";
import type { Session } from "../session.ts";

/** How many publishers the hub has closed for it, `null` when it was not told. */
export async function syncKey(session: Session, key: KeyRow): Promise<number | null> {
  const hub = session.findHub();
  const answer = typeof hub === "string" ? hub : await hub.syncKey(key.domain, key.id);
  if (typeof answer !== "string" && answer.ok) return answer.value.closed;
  const reason = typeof answer === "string" ? answer : answer.error;
  session.note(
    `${reason}.\nPostgres has the change, but the hub was not told: ` +
      (key.state === "live"
        ? "it finds out by itself within 60 seconds of use."
        : "live publishers of the key are closed within 60 seconds of use instead of at once."),
  );
  return null;
}

/** For people, after a full stop. */
export function describeClosed(closed: number | null): string {
  if (closed === null) return "";
  return closed === 1 ? " 1 publisher was closed." : ` ${closed} publishers were closed.`;
}
