/**
 * Between the hub of `npm run dev`, which speaks Neon's HTTP protocol only, and an ordinary Postgres: a process
 * that listens on 127.0.0.1 and serves who knows its secret, since the database behind it may be a real one.
 * Prints a line that starts with "Bridge" and has the URL for the hub once the database has answered.
 *
 * Its environment has DATABASE_URL. Nothing of that is printed but host and port.
 */
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { parseDatabaseUrl, type DatabaseUrl } from "../core/database-url.ts";
import { Database } from "./database/database.ts";
import { failWith, UserError } from "./fail.ts";
import { createNeonServer } from "./neon-http.ts";
import { PgBackend } from "./pg-backend.ts";

/** Milliseconds; a database may have to be woken. */
const CHECK_TIMEOUT_MS = 10_000;

async function main(): Promise<void> {
  const parsed = parseDatabaseUrl(process.env["DATABASE_URL"] ?? "");
  if (!parsed.ok) throw new UserError(parsed.error);
  const hasSchema = await findSchema(parsed.value);
  const password = randomBytes(32).toString("hex");
  const server = createNeonServer(await PgBackend.open(parsed.value), password);

  // Forked by `npm run dev`: when that dies, however it dies, the channel closes.
  for (const event of ["SIGINT", "SIGTERM", "disconnect"]) process.on(event, () => process.exit(0));

  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("Expected a TCP address");
  console.log(`Bridge  postgres://hub:${password}@127.0.0.1:${address.port}/bridged`);
  if (!hasSchema) {
    const { host } = new URL(parsed.value.url);
    console.error(`Postgres at ${host} has no table "apikeys": run npm run db:apply`);
  }
}

/** Whether schema.sql was applied; throws a UserError that says why the database cannot be asked. */
async function findSchema(url: DatabaseUrl): Promise<boolean> {
  const database = new Database(url, {
    timeoutMs: CHECK_TIMEOUT_MS,
    failure: "Cannot ask Postgres at",
  });
  try {
    const [row] = await database.query(`select to_regclass('apikeys') is not null as "isThere"`);
    return row?.["isThere"] === true;
  } finally {
    database.close();
  }
}

main().catch(failWith);
