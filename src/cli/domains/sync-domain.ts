/**
 * Telling the hub that a domain has changed, so that live topics act at once. The change is in Postgres already:
 * a hub that cannot be told finds out, so this never fails.
 */
import type { DomainSync } from "../hub-answers.ts";
import { count } from "../output/count.ts";
import { describeClosed, describeMissed } from "../output/describe-told.ts";
import type { Session } from "../session.ts";

/** What came of it, `null` when the hub was not told. */
export async function syncDomain(session: Session, domain: string): Promise<DomainSync | null> {
  const hub = session.findHub();
  if (typeof hub === "string") {
    noteNotTold(session, hub, LATER);
    return null;
  }
  const answer = await hub.syncDomain(domain);
  if (answer.ok) return answer.value;
  const { message, isNotFound } = answer.error;
  if (isNotFound) {
    noteNotTold(session, "The hub is of a version before this command line's", WITH_PUBLISHER);
  } else {
    noteNotTold(session, message, LATER);
  }
  return null;
}

/** For scripts. */
export function domainSyncJson(sync: DomainSync | null): {
  readonly told: number | null;
  readonly missed: number | null;
  readonly closed: number | null;
} {
  return {
    told: sync?.told ?? null,
    missed: sync?.missed ?? null,
    closed: sync?.closed ?? null,
  };
}

/** For people, after a full stop. */
export function describeDomainSync(sync: DomainSync | null): string {
  if (sync === null) return "";
  const { closed, told, missed } = sync;
  const isAlone = told === 0 && missed === 0 && closed === 0;
  if (isAlone) return " No topic is live, so none had to hear it.";
  const heard = `${count(told, "live topic")} heard it`.replace(/^n/, "N");
  return ` ${heard}; ${describeClosed(closed)}.${describeMissed(missed, "live topic")}`;
}

const WITH_PUBLISHER = "a topic finds out when its next publisher connects";
const LATER = `a live topic finds out within 60 seconds of use, others when their next publisher connects`;

function noteNotTold(session: Session, reason: string, consequence: string): void {
  session.note(`${reason}.`);
  session.note(`Postgres has the change, but the hub was not told: ${consequence}.`);
}
