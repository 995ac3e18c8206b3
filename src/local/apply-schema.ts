/**
 * `npm run db:apply`: applies schema.sql to DATABASE_URL, over HTTP as the hub itself speaks to it.
 */
import { neon, neonConfig, NeonDbError, type NeonQueryFunction } from "@neondatabase/serverless";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { failWith, UserError } from "./fail.ts";
import { findDatabaseUrl } from "./find-database-url.ts";

const HELP = `Usage: npm run db:apply

Applies schema.sql to the database of DATABASE_URL, from .dev.vars or from the
environment. Safe to run again, and on the table of the Erlang original: no row
is lost, plain keys are hashed. The embedded Postgres of npm run dev needs none
of this.`;

async function main(): Promise<void> {
  if (readHelp()) {
    console.log(HELP);
    return;
  }
  const database = findDatabaseUrl();
  if (database === null) {
    throw new UserError(
      "DATABASE_URL is missing: put it into .dev.vars or into the environment\n" +
        "(npm run dev applies schema.sql to its own database by itself)",
    );
  }
  if (database.endpoint !== null) neonConfig.fetchEndpoint = database.endpoint;
  const sql = neon(database.url, { fetchOptions: { signal: AbortSignal.timeout(30_000) } });
  try {
    const plainKeys = await countPlainKeys(sql);
    await sql.query(readFileSync(join(import.meta.dirname, "../../schema.sql"), "utf8"));
    const [row] = await sql`select
      (select count(*) from apikeys) as keys,
      (select count(*) from apikeys where active) as active,
      (select count(*) from domains) as domains`;
    console.log(
      `Applied schema.sql to ${database.host}: ${row?.["keys"]} keys, ${row?.["active"]} of them active, ` +
        `${plainKeys} hashed now, ${row?.["domains"]} domains with a policy of their own`,
    );
  } catch (cause) {
    if (!(cause instanceof NeonDbError)) throw cause;
    // The driver's messages quote no connection string.
    throw new UserError(`Cannot apply schema.sql to ${database.host}: ${cause.message}`, { cause });
  }
}

/** The keys that schema.sql will hash. */
async function countPlainKeys(sql: NeonQueryFunction<false, false>): Promise<string> {
  const [table] = await sql`select to_regclass('apikeys') is not null as "isThere"`;
  if (table?.["isThere"] !== true) return "0";
  // As JSON, because the original's table has no such column.
  const [row] = await sql`select count(*) as keys from apikeys k
    where apikey <> '' and to_jsonb(k) ->> 'apikey_hash' is null`;
  return String(row?.["keys"]);
}

function readHelp(): boolean {
  try {
    return parseArgs({ options: { help: { type: "boolean", default: false } } }).values.help;
  } catch (error) {
    // parseArgs throws a TypeError whose message names the option.
    if (error instanceof TypeError) throw new UserError(`${error.message}\n\n${HELP}`);
    throw error;
  }
}

main().catch(failWith);
