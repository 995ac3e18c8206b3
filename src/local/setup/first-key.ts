/** The first key of a domain, where the domain has none that opens. */
import { unseenKey } from "../../cli/keys/key-row.ts";
import { makeKey } from "../../cli/keys/make-key.ts";
import { showOnce } from "../../cli/show-once.ts";
import { Store } from "../../cli/store.ts";
import { parseDomain } from "../../core/address.ts";
import { ask, canAsk } from "../ask.ts";
import { UserError } from "../fail.ts";
import type { HubDatabase } from "./prepare-database.ts";
import { show, type Say } from "./say.ts";
import type { SetupOptions } from "./setup-options.ts";

/** Makes it, unless there is one; `hub` is `null` in a dry run whose database could not be asked. Throws a UserError where it is not known for which domain. */
export async function makeFirstKey(
  hub: HubDatabase | null,
  { domain: asked, dryRun }: SetupOptions,
  say: Say,
): Promise<void> {
  if (hub === null) return say("not looked for: the database could not be asked");
  const store = hub.hasTables ? new Store(hub.database) : null;
  const { keys } = (await store?.listKeys(null)) ?? { keys: [] };
  const live = keys.filter(({ state }) => state === "live");
  if (asked === undefined && live.length > 0) {
    const domains = new Set(live.map((key) => key.domain));
    say(`there are keys: ${live.length} that open, of ${domains.size} domains`);
    return;
  }
  const domain = await findDomain(asked);
  const count = live.filter((key) => key.domain === domain).length;
  if (count > 0) return say(`"${domain}" has keys: ${count} that open`);
  if (dryRun || store === null) return say(`a key of "${domain}" would be made and shown once`);
  const key = makeKey();
  await showOnce({
    make: () => store.createKey(key, { domain, username: null, active: true, expiry: null }),
    doubt: `a key "${key.hint}" may have been made, which nobody has seen: keys list says so, keys revoke ends it`,
    remedy: unseenKey,
    show: async ({ id }) => {
      say(`made key ${id} of "${domain}". It is shown this once and never again:`);
      const isShown = await show(`API key: ${key.key}`);
      if (!isShown) throw new UserError("Cannot write to stdout");
    },
  });
}

async function findDomain(asked: string | undefined): Promise<string> {
  if (asked === undefined && !canAsk()) {
    throw new UserError(
      "There are no keys yet: --domain NAME says which domain gets the first one",
    );
  }
  const text = asked ?? (await ask("   Name of the domain that gets the first key: ")).trim();
  const domain = parseDomain(encodeURIComponent(text));
  if (domain.ok) return domain.value;
  throw new UserError(`The domain's name will not do: ${domain.error}`);
}
