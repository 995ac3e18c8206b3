/** `wspubsub keys create`: a new key of a domain. */
import { lastArgument } from "../output/shell-quote.ts";
import { showOnce } from "../show-once.ts";
import { describeKeyState, keyJson, nameKey, unseenKey } from "./key-row.ts";
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
  const row = await showOnce({
    make: () =>
      session.store.createKey(key, {
        domain,
        username: options.username ?? null,
        active: options.inactive !== true,
        expiry: options.expires ?? null,
      }),
    doubt:
      `a key "${key.hint}" may have been made, which nobody has seen: ` +
      `keys list ${lastArgument(domain)} says so, keys revoke ends it`,
    remedy: unseenKey,
    show: (made) => session.printOnce({ ...keyJson(made), key: key.key }, key.key),
  });
  session.note(
    `Created ${nameKey(row)}, ${describeKeyState(row)}. The key is shown this once and never again.`,
  );
}
