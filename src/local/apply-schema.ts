/**
 * `npm run db:apply`: applies schema.sql to DATABASE_URL.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Database, NoAnswerError } from "./database/database.ts";
import { failWith, UserError } from "./fail.ts";
import type { DatabaseUrl } from "../core/database-url.ts";
import { findDatabaseUrl } from "./find-database-url.ts";

const HELP = `Usage: npm run db:apply

Applies schema.sql to the database of DATABASE_URL, from the environment, else
from .dev.vars: any Postgres. Safe to run again, and on the table of the Erlang
original: no row is lost, plain keys are hashed. Where something must be altered
and others use the tables, it gives up within two seconds, changes nothing, and
says who they are. The embedded Postgres of npm run dev needs none of this.`;

/** Milliseconds for a statement: the first run writes the table of keys anew. */
const TIMEOUT_MS = 60_000;

/** Milliseconds to count: what has the tables for itself is not waited for, schema.sql says who that is. */
const COUNT_TIMEOUT_MS = 2000;

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
  const plainKeys = await count(url, countPlainKeys);
  await database.query(readFileSync(join(import.meta.dirname, "../../schema.sql"), "utf8"));
  database.close();
  const keys = await count(url, countKeys);
  const hashed = plainKeys === null ? "" : `${plainKeys} hashed now, `;
  const counts = keys === null ? "" : `: ${keys.replace("; ", `, ${hashed}`)}`;
  console.log(`Applied schema.sql to ${url.host}${counts}`);
}

/** Counts something; `null` where that takes too long, since somebody has the tables for himself. */
async function count(
  url: DatabaseUrl,
  ask: (database: Database) => Promise<string>,
): Promise<string | null> {
  const database = new Database(url, { timeoutMs: COUNT_TIMEOUT_MS });
  try {
    return await ask(database);
  } catch (error) {
    if (error instanceof NoAnswerError) return null;
    throw error;
  } finally {
    database.close();
  }
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

/** What there is now: of keys, and behind a semicolon of domains. */
async function countKeys(database: Database): Promise<string> {
  const [counts] = await database.query(`select
    (select count(*) from apikeys) || ' keys, ' ||
    (select count(*) from apikeys where active) || ' of them active; ' ||
    (select count(*) from domains) || ' domains with a policy of their own' as text`);
  return String(counts?.["text"]);
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
