/** Why a key opens nothing. The hub tells nobody (PROTOCOL.md, 4.2); the operator's database knows. */
import { UserError } from "../../local/fail.ts";
import { describeKeyState, nameKey } from "../keys/key-row.ts";
import { nameNewKey } from "../keys/make-key.ts";
import type { Store } from "../store.ts";

/** A clause, `null` where no database is set, or it does not answer, or it sees nothing wrong. */
export async function explainRejectedKey(
  store: Store | null,
  key: string,
  domain: string,
): Promise<string | null> {
  try {
    if (store === null) return null;
    const row = await store.findKeyByHash(nameNewKey(key).hash);
    if (row === null) return "the database has no such key";
    if (row.domain !== domain) return `it is ${nameKey(row)}`;
    return row.state === "live" ? null : `${nameKey(row)} is ${describeKeyState(row)}`;
  } catch (error) {
    // A database that cannot be asked is not what was looked at.
    if (error instanceof UserError) return null;
    throw error;
  }
}
