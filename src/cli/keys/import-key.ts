/** `wspubsub keys import`: a key that somebody has already. */
import { UserError } from "../../local/fail.ts";
import type { CreateKeyOptions } from "./create-key.ts";
import { describeKeyState, keyJson, nameKey } from "./key-row.ts";
import { nameNewKey } from "./make-key.ts";
import { findLimits, readKey } from "./read-key.ts";
import type { Session } from "../session.ts";

/** Stores the hash of the key on stdin; a key is of one domain only. */
export async function importKey(
  session: Session,
  domain: string,
  options: CreateKeyOptions,
): Promise<void> {
  const store = session.store;
  const key = await readKey();
  const { isNew, row } = await store.importKey(nameNewKey(key), {
    domain,
    username: options.username ?? null,
    active: options.inactive !== true,
    expiry: options.expires ?? null,
  });
  if (!isNew) {
    throw new UserError(
      `That key is there already, as ${nameKey(row)}, ${describeKeyState(row)}: nothing was imported`,
    );
  }
  session.print(keyJson(row), `Imported ${nameKey(row)}, ${describeKeyState(row)}.`);
  for (const limit of findLimits(key)) session.note(limit);
}
