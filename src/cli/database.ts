/**
 * Postgres over Neon's HTTP protocol: the command line's only use of the Neon driver. Every call is one
 * statement, so it happens as a whole or not at all.
 */
import { neon, neonConfig, NeonDbError } from "@neondatabase/serverless";
import type { DatabaseUrl } from "../core/database-url.ts";
import { UserError } from "../local/fail.ts";
import { describeFetchFailure } from "./output/describe-fetch-failure.ts";

/** Milliseconds that a statement may take. */
const TIMEOUT_MS = 30_000;

/** A database; connects when it is asked. */
export class Database {
  readonly #place: DatabaseUrl;

  constructor(place: DatabaseUrl) {
    this.#place = place;
    // The driver has this setting for all databases at once; a command has only the one.
    if (place.endpoint !== null) neonConfig.fetchEndpoint = place.endpoint;
  }

  /** Runs a statement; throws a UserError that says what the database refused. */
  async query(text: string, params: readonly unknown[]): Promise<Record<string, unknown>[]> {
    const { url, host } = this.#place;
    const sql = neon(url, { fetchOptions: { signal: AbortSignal.timeout(TIMEOUT_MS) } });
    try {
      return await sql.query(text, [...params]);
    } catch (cause) {
      if (!(cause instanceof NeonDbError)) throw cause;
      throw new UserError(`Cannot ask Postgres at ${host}: ${explain(cause)}`, { cause });
    }
  }
}

/** What went wrong and what to do; the driver's messages quote no connection string. */
function explain(error: NeonDbError): string {
  switch (error.code) {
    // undefined_table, undefined_column
    case "42P01":
    case "42703":
      return `${error.message}. Run npm run db:apply first`;
    case undefined:
      if (error.sourceError === undefined) return error.message;
      return `no connection: ${describeFetchFailure(error.sourceError, TIMEOUT_MS)}`;
    default:
      return error.message;
  }
}
