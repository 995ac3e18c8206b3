/** What Postgres says when it refuses, with what can be done about it. */
import type { Failure } from "./database.ts";

/** An error of Postgres's. Its detail is left out: it may quote a row. */
export interface PostgresError {
  /** SQLSTATE. */
  readonly code: string;
  readonly message: string;
  readonly hint?: string | undefined;
}

/** Classes of SQLSTATE that tell of Postgres's state, not of the statement: no connection, no room, shutting down. */
const STATES_OF_THE_SERVER: ReadonlySet<string> = new Set(["08", "53", "57"]);

const APPLY_FIRST = "Run npm run db:apply first";

/** What to do, by SQLSTATE. */
const REMEDIES: Readonly<Record<string, string>> = {
  // undefined_table, undefined_column
  "42P01": APPLY_FIRST,
  "42703": APPLY_FIRST,
  // invalid_password, invalid_catalog_name
  "28P01": "Check the user and the password in DATABASE_URL",
  "3D000": "Check the name after the last slash of DATABASE_URL, or create that database",
  // read_only_sql_transaction
  "25006": "It takes no writes: is it a replica, or is default_transaction_read_only on?",
  // insufficient_privilege
  "42501":
    "The user of DATABASE_URL lacks that right: take the tables' owner, and for npm run db:apply one that may create",
  // untranslatable_character
  "22P05": "The database must be of the encoding UTF8",
  // too_many_connections, cannot_connect_now
  "53300": "Try again, or end some of its sessions",
  "57P03": "Try again",
};

/** Explains one. */
export function explainRefusal({ code, message, hint }: PostgresError): Failure {
  const remedy = code === "28000" ? explainNoEntry(message) : (REMEDIES[code] ?? hint);
  return {
    isRefusal: !STATES_OF_THE_SERVER.has(code.slice(0, 2)),
    reason: remedy === undefined ? message : `${message}. ${remedy}`,
  };
}

/** Many servers let in only who speaks TLS. */
function explainNoEntry(message: string): string {
  return /no encryption|SSL off/.test(message)
    ? "Add ?sslmode=require to DATABASE_URL"
    : "Check the user in DATABASE_URL, and pg_hba.conf of the server";
}
