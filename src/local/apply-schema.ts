/**
 * `npm run db:apply`: applies schema.sql to DATABASE_URL.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Database } from "./database/database.ts";
import { failWith, UserError } from "./fail.ts";
import { findDatabaseUrl } from "./find-database-url.ts";

const HELP = `Usage: npm run db:apply

Applies schema.sql to the database of DATABASE_URL, from .dev.vars or from the
environment. Safe to run again, and on the table of the Erlang original: no row
is lost, plain keys are hashed. Where something must be altered and others use
the tables, it gives up within two seconds, changes nothing, and says who they
are. The embedded Postgres of npm run dev needs none of this.`;

/** Milliseconds for a statement: the first run writes the table of keys anew. */
const TIMEOUT_MS = 60_000;

async function main(): Promise<void> {
  if (readHelp()) {
    console.log(HELP);
    return;
  }
  const url = findDatabaseUrl();
  if (url === null) {
    throw new UserError(
      "DATABASE_URL is missing: put it into .dev.vars or into the environment\n" +
        "(npm run dev applies schema.sql to its own database by itself)",
    );
  }
  const database = new Database(url, {
    timeoutMs: TIMEOUT_MS,
    failure: "Cannot apply schema.sql to",
  });
  const plainKeys = await countPlainKeys(database);
  await database.query(readFileSync(join(import.meta.dirname, "../../schema.sql"), "utf8"));
  const [counts] = await database.query(
    `select
    (select count(*) from apikeys) || ' keys, ' ||
    (select count(*) from apikeys where active) || ' of them active, ' || $1 || ' hashed now, ' ||
    (select count(*) from domains) || ' domains with a policy of their own' as text`,
    [plainKeys],
  );
  database.close();
  console.log(`Applied schema.sql to ${url.host}: ${String(counts?.["text"])}`);
}

/** The keys that schema.sql will hash. */
async function countPlainKeys(database: Database): Promise<string> {
  const [table] = await database.query(`select to_regclass('apikeys') is not null as "isThere"`);
  if (table?.["isThere"] !== true) return "0";
  // As JSON, because the original's table has no such column, and another's may have no key.
  const [row] = await database.query(`select count(*) as keys from apikeys k
    where to_jsonb(k) ->> 'apikey' <> '' and to_jsonb(k) ->> 'apikey_hash' is null`);
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
