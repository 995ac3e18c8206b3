/** `wspubsub domains set`: changes of a domain's policy. */
import { NO_OTHER_SECRET, type DomainRow } from "./domain-row.ts";
import { POLICY_COLUMNS, type PolicyValue } from "./policy-column.ts";
import { readTokenKeys } from "./read-token-keys.ts";
import { readTokenSecret } from "./read-token-secret.ts";
import { lastArgument } from "../output/shell-quote.ts";
import type { Session } from "../session.ts";
import { showOnce } from "../show-once.ts";
import { domainJson } from "./show-domain.ts";
import { describeDomainSync, domainSyncJson, syncDomain } from "./sync-domain.ts";
import { UsageError } from "../usage-error.ts";

/** The value of a column, `null` among them. */
export interface BoxedValue {
  readonly value: PolicyValue;
}

/** Its options: those of the columns by their name in camel case, and the two that are read here. */
export interface SetDomainOptions {
  readonly [column: string]: BoxedValue | string | undefined;
  readonly tokenSecret?: string;
  readonly tokenKeys?: string;
}

/** Changes what is given and leaves the rest; live topics hear of it from the hub. */
export async function setDomain(
  session: Session,
  domain: string,
  options: SetDomainOptions,
): Promise<void> {
  const values = new Map<string, unknown>();
  const changes: string[] = [];
  for (const { name } of POLICY_COLUMNS) {
    const given = options[toCamelCase(name)];
    if (typeof given !== "object") continue;
    values.set(name, given.value);
    changes.push(`${name} ${given.value ?? "none"}`);
  }
  const secret = await readTokenSecret(session, options.tokenSecret);
  if (secret !== null) {
    values.set("token_secret", secret.value);
    for (const [column, nothing] of NO_OTHER_SECRET) values.set(column, nothing);
    changes.push(`token_secret ${secret.value === null ? "none" : "set"}`);
  }
  const keys = await readTokenKeys(options.tokenKeys);
  if (keys !== null) {
    values.set("token_keys", keys.value === null ? null : JSON.stringify(keys.value));
    changes.push(`token_keys ${keys.value === null ? "none" : `${keys.value.keys.length} set`}`);
  }
  if (values.size === 0) {
    throw new UsageError("Nothing to set: give an option, domains set --help lists them");
  }

  const store = (): Promise<DomainRow> => session.store.setDomain(domain, values);
  const tell = async (
    set: DomainRow,
  ): Promise<{ readonly json: object; readonly done: string }> => {
    const sync = await syncDomain(session, domain);
    return {
      json: { ...domainJson(domain, set), ...domainSyncJson(sync) },
      done: `Set for "${domain}": ${changes.join(", ")}.${describeDomainSync(sync)}`,
    };
  };
  let row: DomainRow;
  if (secret?.isNew === true) {
    const again = `set another with domains set --token-secret new ${lastArgument(domain)}`;
    row = await showOnce({
      make: store,
      doubt: `a new token secret may have been set, which nobody has seen: ${again}`,
      remedy: () => `the new token secret was set and could not be shown: ${again}`,
      show: async (set) => {
        const { json, done } = await tell(set);
        await session.printOnce({ ...json, token_secret: secret.value }, secret.value ?? "");
        session.note(done);
        session.note("The secret is shown this once and never again.");
      },
    });
  } else {
    row = await store();
    const { json, done } = await tell(row);
    session.print(json, done);
  }
  for (const sentence of keys?.skipped ?? []) session.note(`Left out: ${sentence}`);
  if (
    row.policy.get("subscribers") === "token" &&
    row.tokenSecret === null &&
    row.tokenKeys === null
  ) {
    session.note(
      `Only who has a key of "${domain}" can subscribe: for tokens set --token-secret or --token-keys.`,
    );
  }
  if (
    values.get("token_publishers") === true &&
    row.tokenSecret === null &&
    row.tokenKeys === null
  ) {
    session.note(`Nobody signs tokens of "${domain}" yet: set --token-secret or --token-keys.`);
  }
}

function toCamelCase(column: string): string {
  return column.replace(/_(.)/g, (_, letter: string) => letter.toUpperCase());
}
