/** `wspubsub keys create`: a new key of a domain. */
import { describeKeyState, keyJson, nameKey } from "./key-row.ts";
import { makeKey } from "./make-key.ts";
import type { Expiry } from "../input/parse-expiry.ts";
import type { Session } from "../session.ts";

/** Its options. */
export interface CreateKeyOptions {
  readonly username?: string;
  readonly expires?: Expiry;
  readonly inactive?: true;
}

/** Makes the key, stores its hash and shows it once. */
export async function createKey(
  session: Session,
  domain: string,
  options: CreateKeyOptions,
): Promise<void> {
  const key = makeKey();
  const row = await session.store.createKey(key, {
    domain,
    username: options.username ?? null,
    active: options.inactive !== true,
    expiry: options.expires ?? null,
  });
  session.print({ ...keyJson(row), key: key.key }, key.key);
  session.note(
    `Created ${nameKey(row)}, ${describeKeyState(row)}. The key is shown this once and never again.`,
  );
}
