/**
 * The end of a key where Postgres does not answer: the hub closes its sockets, and sees to it that Postgres gets the
 * revocation. Claims nothing that the hub has not said.
 */
import { UserError } from "../../local/fail.ts";
import type { NoAnswerError } from "../../local/database/database.ts";
import type { HubFailure } from "../hub.ts";
import type { Session } from "../session.ts";
import { describeKeySync, keySyncJson } from "./sync-key.ts";

interface KeyName {
  readonly domain: string;
  readonly id: number;
}

/** Has the hub revoke a key; throws a UserError that names both causes where it does not. */
export async function revokeThroughHub(
  session: Session,
  key: KeyName,
  cause: NoAnswerError,
): Promise<void> {
  const { domain, id } = key;
  const hub = session.findHub();
  if (typeof hub === "string") throw failure(key, cause, hub);
  const answer = await hub.revokeKey(domain, id);
  if (!answer.ok) throw failure(key, cause, explain(key, answer.error));
  session.note(`${cause.message}.`);
  session.note("The hub was asked instead.");
  session.print(
    { id, domain, state: "revoked", ...keySyncJson(answer.value) },
    `Revoked: key ${id} of "${domain}" opens nothing any more.${describeKeySync(answer.value, "revoked")}`,
  );
}

/** It may have been done and only the word of it lost, hence "may". */
function failure({ domain, id }: KeyName, cause: NoAnswerError, reason: string): UserError {
  return new UserError(
    `Cannot revoke key ${id} of "${domain}", which may still open.\n${cause.message}.\n${reason}`,
    { cause },
  );
}

function explain({ domain, id }: KeyName, { message, isNotFound }: HubFailure): string {
  return isNotFound ? `The hub knows no key ${id} of "${domain}"` : message;
}
