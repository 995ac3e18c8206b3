/** `wspubsub domains show`: what a domain allows. Of its secret only whether there is one. */
import { DEFAULT_DOMAIN, type DomainRow } from "./domain-row.ts";
import { formatTable } from "../output/format-table.ts";
import { POLICY_COLUMNS, type PolicyValue } from "./policy-column.ts";
import type { Session } from "../session.ts";
import { algorithmOf, type TokenKeys } from "./token-keys.ts";

/** A domain as JSON has it. */
export interface DomainJson {
  readonly domain: string;
  readonly policy: Readonly<Record<string, PolicyValue>>;
  readonly token_secret_set: boolean;
  readonly token_keys: TokenKeys | null;
  /** The columns that are as without a row. */
  readonly defaults: readonly string[];
}

/** Shows the policy of a domain, stored or not. */
export async function showDomain(session: Session, domain: string): Promise<void> {
  const stored = await session.store.findDomain(domain);
  const row = stored ?? DEFAULT_DOMAIN;
  const json = domainJson(domain, row);
  const mark = (name: string): string => (json.defaults.includes(name) ? "default" : "");
  const rows = [
    ...POLICY_COLUMNS.map(({ name }) => [name, String(row.policy.get(name) ?? "none"), mark(name)]),
    ["token_secret", row.tokenSecret === null ? "none" : "set", mark("token_secret")],
    ["token_keys", describeTokenKeys(row.tokenKeys), mark("token_keys")],
  ];
  session.print(json, formatTable(["setting", "value", ""], rows));
  if (stored === null)
    session.note(`"${domain}" has no policy of its own: these are the defaults.`);
}

/** For scripts. */
export function domainJson(domain: string, row: DomainRow): DomainJson {
  const defaults = POLICY_COLUMNS.filter(({ name, fallback }) => row.policy.get(name) === fallback);
  return {
    domain,
    policy: Object.fromEntries(row.policy),
    token_secret_set: row.tokenSecret !== null,
    token_keys: row.tokenKeys,
    defaults: [
      ...defaults.map(({ name }) => name),
      ...(row.tokenSecret === null ? ["token_secret"] : []),
      ...(row.tokenKeys === null ? ["token_keys"] : []),
    ],
  };
}

function describeTokenKeys(set: TokenKeys | null): string {
  if (set === null) return "none";
  const names = set.keys.map(
    (key) => `${key.kid ?? "without kid"} (${algorithmOf(key) ?? "of no use"})`,
  );
  return names.length === 0 ? "empty" : names.join(", ");
}
