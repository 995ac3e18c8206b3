/**
 * An ordinary Postgres behind Neon's HTTP protocol: a few connections, each of them a new session for every
 * request. Invariant: nothing waits without end, and a connection that broke is not used again.
 */
import pg from "pg";
import type { DatabaseUrl } from "../core/database-url.ts";
import { readPgSettings } from "./database/pg-settings.ts";
import {
  StatementError,
  toStatementError,
  toText,
  type RunStatement,
  type SqlBackend,
  type Statement,
  type StatementResult,
} from "./sql-backend.ts";

/** The hub of a laptop asks little. */
const MAX_CONNECTIONS = 5;

/** Milliseconds to get a connection, which includes waiting for one that is free. */
const CONNECT_TIMEOUT_MS = 5000;

/** Milliseconds for a statement; the hub itself has stopped waiting long before. */
const STATEMENT_TIMEOUT_MS = 10_000;

/** Values stay as Postgres writes them. */
const AS_TEXT = { getTypeParser: () => (value: unknown) => value };

/** Such a Postgres. */
export class PgBackend implements SqlBackend {
  readonly #pool: pg.Pool;

  private constructor(pool: pg.Pool) {
    this.#pool = pool;
  }

  /** Connects, with as much TLS as the URL asks for and the server has; throws what `pg` does. */
  static async open(url: DatabaseUrl): Promise<PgBackend> {
    const { config, tls } = readPgSettings(url);
    let failure: unknown;
    for (const ssl of tls) {
      const pool = new pg.Pool({
        ...config,
        ssl,
        max: MAX_CONNECTIONS,
        connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
        query_timeout: STATEMENT_TIMEOUT_MS,
      });
      // Of a connection that breaks while no statement runs: the pool drops it, or `giveBack` does.
      pool.on("error", () => {});
      pool.on("connect", (client) => client.on("error", () => {}));
      try {
        (await pool.connect()).release();
        return new PgBackend(pool);
      } catch (cause) {
        // No TLS there, or nobody: the last one's reason counts.
        failure = cause;
      }
    }
    throw failure;
  }

  async withSession<T>(work: (run: RunStatement) => Promise<T>): Promise<T> {
    const client = await this.#pool.connect().catch((cause: unknown) => {
      throw toFailure(cause);
    });
    let isBroken = false;
    try {
      return await work((statement) => run(client, statement));
    } catch (error) {
      // What Postgres refuses leaves the connection as it was.
      isBroken = !(error instanceof StatementError);
      throw error;
    } finally {
      // Nobody waits for it: the next one takes another connection.
      void giveBack(client, isBroken);
    }
  }
}

async function run(client: pg.PoolClient, { query, params }: Statement): Promise<StatementResult> {
  const config = {
    text: query,
    values: params.map(toText),
    // Extended, as Neon has it: a text of two statements is refused.
    queryMode: "extended",
    rowMode: "array",
    types: AS_TEXT,
  } as const;
  try {
    const { command, rowCount, fields, rows } = await client.query<(string | null)[]>(config);
    return {
      // An empty statement has none.
      command: command ?? "",
      rowCount,
      fields: fields.map(({ name, dataTypeID }) => ({ name, dataTypeID })),
      rows,
      rowAsArray: true,
    };
  } catch (cause) {
    throw toFailure(cause);
  }
}

async function giveBack(client: pg.PoolClient, isBroken: boolean): Promise<void> {
  if (isBroken) {
    client.release(true);
    return;
  }
  try {
    // Refused in a transaction that was left open, which then ends with its connection.
    await client.query("discard all");
    client.release();
  } catch {
    // Whatever it was, the session is not a new one.
    client.release(true);
  }
}

/** What Postgres said is the answer; everything else is a failure to get one. */
function toFailure(cause: unknown): unknown {
  return cause instanceof pg.DatabaseError ? toStatementError(cause) : cause;
}
