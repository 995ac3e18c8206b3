/** Whether a database has the tables and columns of schema.sql. */
import { columnOf, POLICY_FIELDS } from "../../core/policy.ts";
import type { Database } from "../database/database.ts";

/** How far it is. */
export type SchemaState =
  | { readonly type: "empty" }
  /** Of a version before, or the Erlang original's. */
  | { readonly type: "older"; readonly missing: readonly string[] }
  | { readonly type: "current" };

/** All that schema.sql makes: the hub and the command line read each. */
export const COLUMNS: Readonly<Record<"apikeys" | "domains", readonly string[]>> = {
  apikeys: words(`id domain username apikey insert_ts active apikey_hash expires_at revoked_at
    last_used_at`),
  domains: [
    "domain",
    ...POLICY_FIELDS.map(columnOf),
    ...words(`token_issuer token_secret token_keys token_secret_expires_at token_secret_previous
      token_secret_previous_expires_at`),
  ],
};

/** Read from the catalog: a table that is not there is no error, and a column that was dropped has another name. */
const MISSING = `select needed from unnest($1::text[]) needed where not exists (
    select from pg_attribute where attrelid = to_regclass(split_part(needed, '.', 1))
      and attname = split_part(needed, '.', 2))`;

/** Asks; throws what the database does. */
export async function findSchemaState(database: Database): Promise<SchemaState> {
  const needed = Object.entries(COLUMNS).flatMap(([table, columns]) =>
    columns.map((column) => `${table}.${column}`),
  );
  const rows = await database.query(MISSING, [`{${needed.join(",")}}`]);
  const missing = rows.map((row) => String(row["needed"]));
  if (missing.length === 0) return { type: "current" };
  return missing.length === needed.length ? { type: "empty" } : { type: "older", missing };
}

function words(text: string): readonly string[] {
  return text.split(/\s+/);
}
