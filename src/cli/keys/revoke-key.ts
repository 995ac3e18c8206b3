/** `wspubsub keys revoke`: the end of a key, also where Postgres cannot be asked. */
import { UserError } from "../../local/fail.ts";
import { NoAnswerError } from "../../local/database/database.ts";
import { explainNoKey } from "./explain-no-key.ts";
import { describeKeyState, keyJson, nameKey, type KeyRow } from "./key-row.ts";
import { revokeThroughHub } from "./revoke-through-hub.ts";
import type { Session } from "../session.ts";
import { describeKeySync, keySyncJson, syncKey } from "./sync-key.ts";

/** Its options. */
export interface RevokeKeyOptions {
  readonly domain?: string;
}

/** Revokes a key for good and has who uses it closed. */
export async function revokeKey(
  session: Session,
  id: number,
  { domain }: RevokeKeyOptions,
): Promise<void> {
  let key: KeyRow | null;
  try {
    key = await session.store.revokeKey(id, domain ?? null);
  } catch (error) {
    // What Postgres refused, or a setting that is wrong, the hub cannot mend.
    if (!(error instanceof NoAnswerError)) throw error;
    if (domain !== undefined) return revokeThroughHub(session, { domain, id }, error);
    throw new UserError(
      `${error.message}.\nWith --domain D the hub revokes a key of the domain D without it`,
      { cause: error },
    );
  }
  if (key === null) throw await explainNoRevocation(session, id, domain);
  const sync = await syncKey(session, key);
  session.print(
    { ...keyJson(key), ...keySyncJson(sync) },
    `Revoked: ${nameKey(key)} is ${describeKeyState(key)}.${describeKeySync(sync, key.state)}`,
  );
}

async function explainNoRevocation(
  session: Session,
  id: number,
  domain: string | undefined,
): Promise<UserError> {
  const key = domain === undefined ? null : await session.store.findKey(id);
  if (key === null || key.domain === domain) {
    return explainNoKey(session, id, "cannot be revoked");
  }
  const name = nameKey(key).replace(/^k/, "K");
  return new UserError(`${name} is not of "${domain}": nothing was revoked`);
}
