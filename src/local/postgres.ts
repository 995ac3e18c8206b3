/**
 * The Postgres of a laptop, as a process: PGlite behind Postgres's own protocol and Neon's HTTP on one port,
 * with schema.sql applied and the documented test keys active. Prints a line that starts with "Postgres" and
 * has its URL once it answers.
 */
import type { PGlite } from "@electric-sql/pglite";
import { once } from "node:events";
import type { Server } from "node:http";
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { EmbeddedPostgres, NAME } from "./embedded-postgres.ts";
import { failWith, UserError } from "./fail.ts";
import { createNeonServer } from "./neon-http.ts";
import { openDatabase } from "./open-database.ts";
import { parsePort } from "./parse-port.ts";
import { POSTGRES_CONTENTS } from "./postgres-folder.ts";
import { serveBoth } from "./serve-both.ts";
import { takeFolder } from "./take-folder.ts";
import { SHARED_KEY, TEST_KEY } from "./test-key.ts";

const HELP = `Usage: node src/local/postgres.ts [options]

Serves an embedded Postgres, with schema.sql applied and the test keys active, at
postgres://postgres:postgres@127.0.0.1:PORT/postgres for psql and other programs,
and for Neon's driver at http://127.0.0.1:PORT/sql.

  --port N     the port (default 0: any that is free)
  --or-any     any that is free, where that one is not
  --data DIR   keep the database there (default: in memory)
  --fresh      empty the database first
  --help       this text`;

/** Seeds the documented keys, which the trigger of schema.sql hashes, and a domain that is shared. */
const SEED = `insert into apikeys (domain, username, apikey, active)
  values ${[TEST_KEY, SHARED_KEY].map(({ domain, username, key }) => `('${domain}', '${username}', '${key}', true)`).join(", ")}
  on conflict (apikey_hash) do nothing;
  insert into domains (domain, publishers, history_messages, history_seconds)
  values ('${SHARED_KEY.domain}', 'shared', 1000, 86400)
  on conflict (domain) do nothing`;

interface Options {
  readonly port: number;
  readonly orAny: boolean;
  readonly data: string | null;
  readonly fresh: boolean;
}

function readOptions(): Options {
  try {
    const { values } = parseArgs({
      options: {
        port: { type: "string", default: "0" },
        "or-any": { type: "boolean", default: false },
        data: { type: "string" },
        fresh: { type: "boolean", default: false },
        help: { type: "boolean", default: false },
      },
    });
    if (values.help) {
      console.log(HELP);
      process.exit(0);
    }
    return {
      port: parsePort(values.port),
      orAny: values["or-any"],
      data: values.data ?? null,
      fresh: values.fresh,
    };
  } catch (error) {
    // parseArgs throws a TypeError whose message names the option.
    if (error instanceof TypeError) throw new UserError(`${error.message}\n\n${HELP}`);
    throw error;
  }
}

async function openSeeded(data: string | null, fresh: boolean): Promise<PGlite> {
  const path = data && join(data, "data");
  if (path && fresh) rmSync(path, { recursive: true, force: true });
  const database = await openDatabase(path);
  await database.exec(readFileSync(join(import.meta.dirname, "../../schema.sql"), "utf8"));
  await database.exec(SEED);
  return database;
}

async function main(): Promise<void> {
  const { port, orAny, data, fresh } = readOptions();
  if (data !== null) takeFolder(data, POSTGRES_CONTENTS, describeUse);
  const database = await openSeeded(data, fresh);
  const postgres = await EmbeddedPostgres.open(database);
  const server = createNeonServer(postgres);
  serveBoth(server, postgres);

  let stopping = false;
  async function stop(): Promise<void> {
    if (stopping) return;
    stopping = true;
    server.close();
    server.closeAllConnections();
    await database.close();
    process.exit(0);
  }
  process.on("SIGINT", () => void stop());
  process.on("SIGTERM", () => void stop());
  // Forked by `npm run dev`: when that dies, however it dies, the channel closes.
  process.on("disconnect", () => void stop());

  try {
    await listen(server, port);
  } catch (cause) {
    // EADDRINUSE, or EACCES for a port that only root may have.
    if (!orAny) throw new UserError(`Cannot listen on port ${port}: ${String(cause)}`, { cause });
    await listen(server, 0);
  }
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("Expected a TCP address");
  console.log(`Postgres  postgres://${NAME}:${NAME}@127.0.0.1:${address.port}/${NAME}`);
}

async function listen(server: Server, port: number): Promise<void> {
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
}

/** PGlite has no lock of its own, and two would corrupt the database. */
function describeUse(path: string): string {
  return `Cannot open ${path}: another process uses it. Is \`npm run dev\` running already?`;
}

main().catch(failWith);
