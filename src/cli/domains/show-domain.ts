/** `wspubsub domains show`: what a domain allows. Of its secret only whether there is one. */
import { DEFAULT_DOMAIN, isLiveSecret, type DomainRow, type StoredSecret } from "./domain-row.ts";
import { UserError } from "../../local/fail.ts";
import { formatDate } from "../output/format-date.ts";
import { formatTable } from "../output/format-table.ts";
import { lastArgument } from "../output/shell-quote.ts";
import { POLICY_COLUMNS, type PolicyValue } from "./policy-column.ts";
import type { Session } from "../session.ts";
import type { StoredTokenKeys, TokenKeys } from "./token-keys.ts";

/** A domain as JSON has it. */
export interface DomainJson {
  readonly domain: string;
  readonly policy: Readonly<Record<string, PolicyValue>>;
  readonly token_secret_set: boolean;
  readonly token_secret_expires_at: string | null;
  /** The one that it has replaced, as long as that one signs; `null`: there is none. */
  readonly token_secret_previous: { readonly expires_at: string | null } | null;
  readonly token_keys: TokenKeys | null;
  /** Why the hub relies on none of the keys, `null` where it does. */
  readonly token_keys_fault: string | null;
  /** The columns that are as without a row. */
  readonly defaults: readonly string[];
}

/** Shows the policy of a domain, stored or not; throws a UserError for one that has neither policy nor key. */
export async function showDomain(session: Session, domain: string): Promise<void> {
  const stored = await session.store.findDomain(domain);
  if (stored === null && (await session.store.listKeys(domain)).keys.length === 0) {
    throw new UserError(
      `There is no domain "${domain}": it has neither a policy nor a key. ` +
        `keys create ${lastArgument(domain)} makes a key`,
    );
  }
  const row = stored ?? DEFAULT_DOMAIN;
  const json = domainJson(domain, row);
  const mark = (name: string): string => (json.defaults.includes(name) ? "default" : "");
  const rows = [
    ...POLICY_COLUMNS.map(({ name }) => [name, String(row.policy.get(name) ?? "none"), mark(name)]),
    ["token_secret", describeSecrets(row), mark("token_secret")],
    ["token_keys", describeTokenKeys(row.tokenKeys), mark("token_keys")],
  ];
  session.print(json, formatTable(["setting", "value", ""], rows));
  if (stored === null) {
    session.note(`"${domain}" has no policy of its own: these are the defaults.`);
  }
}

/** For scripts. */
export function domainJson(domain: string, row: DomainRow): DomainJson {
  const defaults = POLICY_COLUMNS.filter(
    ({ name, byDefault }) => row.policy.get(name) === byDefault,
  );
  const previous = row.previousTokenSecret;
  return {
    domain,
    policy: Object.fromEntries(row.policy),
    token_secret_set: row.tokenSecret !== null,
    token_secret_expires_at: row.tokenSecret?.expiresAt?.toISOString() ?? null,
    token_secret_previous: isLiveSecret(previous)
      ? { expires_at: previous.expiresAt?.toISOString() ?? null }
      : null,
    token_keys: row.tokenKeys === null ? null : { keys: row.tokenKeys.keys },
    token_keys_fault: row.tokenKeys?.fault ?? null,
    defaults: [
      ...defaults.map(({ name }) => name),
      ...(row.tokenSecret === null ? ["token_secret"] : []),
      ...(row.tokenKeys === null ? ["token_keys"] : []),
    ],
  };
}

function describeSecrets({ tokenSecret, previousTokenSecret: previous }: DomainRow): string {
  if (tokenSecret === null && !isLiveSecret(previous)) return "none";
  const current = tokenSecret === null ? "none" : `set${describeEnd(tokenSecret)}`;
  return isLiveSecret(previous)
    ? `${current}; the one before still signs${describeEnd(previous)}`
    : current;
}

function describeEnd({ expiresAt }: StoredSecret): string {
  return expiresAt === null ? "" : `, until ${formatDate(expiresAt)}`;
}

function describeTokenKeys(set: StoredTokenKeys | null): string {
  if (set === null) return "none";
  const names = set.descriptions.length === 0 ? "empty" : set.descriptions.join(", ");
  return set.fault === null
    ? names
    : `refused, and with it all tokens by public keys: ${set.fault}. It has: ${names}`;
}
