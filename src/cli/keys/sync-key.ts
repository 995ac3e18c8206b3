/**
 * Telling the hub that a key has changed, so that it acts at once. The change is in Postgres already: a
 * hub that cannot be told looks for itself within a minute, so this never fails.
 */
import type { KeySync } from "../hub-answers.ts";
import { describeClosed, describeMissed } from "../output/describe-told.ts";
import type { KeyRow } from "./key-row.ts";
import type { Session } from "../session.ts";

/** What came of it as JSON has it; `null` is what nobody knows. */
export interface KeySyncJson {
  readonly closed: number | null;
  readonly told: number | null;
  readonly missed: number | null;
  readonly held: boolean;
}

/** What came of it, `null` when the hub was not told. */
export async function syncKey(session: Session, key: KeyRow): Promise<KeySync | null> {
  const hub = session.findHub();
  if (typeof hub === "string") {
    noteNotTold(session, hub, key);
    return null;
  }
  const { domain, id } = key;
  // A hub that cannot reach Postgres to see it holds a revocation itself, at once.
  const answer = await (key.state === "revoked"
    ? hub.revokeKey(domain, id)
    : hub.syncKey(domain, id));
  if (answer.ok) return answer.value;
  const { message, isNotFound } = answer.error;
  if (isNotFound) {
    session.note(
      `The hub knows no key ${key.id} of "${key.domain}", so the change is not in its Postgres: ` +
        "check that DATABASE_URL is the hub's.",
    );
  } else {
    noteNotTold(session, message, key);
  }
  return null;
}

/** For scripts. */
export function keySyncJson(sync: KeySync | null): KeySyncJson {
  if (sync === null) return { closed: null, told: null, missed: null, held: false };
  const { closed, told, missed, held } = sync;
  return { closed, told, missed, held };
}

/** For people, after a full stop; `state` is the key's in Postgres, or what it will be there. */
export function describeKeySync(sync: KeySync | null, state: KeyRow["state"]): string {
  if (sync === null) return "";
  const closed = describeClosed(sync.closed).replace(/^n/, "N");
  return ` ${closed}.${describeMissed(sync.missed, "topic")}${sync.held ? describeHeld(state) : ""}`;
}

function describeHeld(state: KeyRow["state"]): string {
  return state === "revoked"
    ? " The hub holds the revocation until Postgres has it."
    : " But the hub holds a revocation of it that Postgres is yet to get: it opens nothing.";
}

function noteNotTold(session: Session, reason: string, key: KeyRow): void {
  const consequence =
    key.state === "live"
      ? "it finds out by itself within 60 seconds of use"
      : "who uses the key is closed within 60 seconds of use instead of at once";
  session.note(`${reason}.`);
  session.note(`Postgres has the change, but the hub was not told: ${consequence}.`);
}
