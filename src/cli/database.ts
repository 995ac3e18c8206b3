/**
 * Postgres over Neon's HTTP protocol: the command line's only use of the Neon driver. Every call is one
 * statement, so it happens as a whole or not at all.
 */
import { neon, neonConfig, NeonDbError } from "@neondatabase/serverless";
import type { DatabaseUrl } from "../core/database-url.ts";
import { UserError } from "../local/fail.ts";
import { describeFetchFailure } from "./output/describe-fetch-failure.ts";

/** Milliseconds that a statement may take, with the time that a database needs to wake. */
const TIMEOUT_MS = 10_000;

/** Of a message that may be a proxy's whole page. */
const MAX_MESSAGE_LENGTH = 200;

/** Postgres has not answered: whether the statement was carried out is not known. */
export class NoAnswerError extends UserError {}

/** A database; connects when it is asked. */
export class Database {
  readonly #place: DatabaseUrl;

  constructor(place: DatabaseUrl) {
    this.#place = place;
    // The driver has this setting for all databases at once; a command has only the one.
    if (place.endpoint !== null) neonConfig.fetchEndpoint = place.endpoint;
  }

  /** Runs a statement; throws a UserError that says what the database refused, or a NoAnswerError. */
  async query(text: string, params: readonly unknown[]): Promise<Record<string, unknown>[]> {
    const { url, host } = this.#place;
    const sql = neon(url, { fetchOptions: { signal: AbortSignal.timeout(TIMEOUT_MS) } });
    try {
      return await sql.query(text, [...params]);
    } catch (cause) {
      // NeonDbError; of an answer that is none the driver throws what it stumbled over: TimeoutError, SyntaxError
      // or TypeError.
      const [what, Failure] = isRefusal(cause)
        ? [explainRefusal(cause), UserError]
        : [explainNoAnswer(cause), NoAnswerError];
      throw new Failure(`Cannot ask Postgres at ${host}: ${what}`, { cause });
    }
  }
}

/** Classes of SQLSTATE that tell of Postgres's state, not of the statement: no connection, no room, shutting down. */
const STATES_OF_THE_SERVER: ReadonlySet<string> = new Set(["08", "53", "57"]);

/** Whether Postgres itself has refused: each of its errors has a code, which those of Neon's proxy have not. */
function isRefusal(cause: unknown): cause is NeonDbError {
  return (
    cause instanceof NeonDbError &&
    typeof cause.code === "string" &&
    !STATES_OF_THE_SERVER.has(cause.code.slice(0, 2))
  );
}

/** What went wrong and what to do; the driver's messages quote no connection string. */
function explainRefusal({ code, message }: NeonDbError): string {
  // undefined_table, undefined_column
  return code === "42P01" || code === "42703" ? `${message}. Run npm run db:apply first` : message;
}

function explainNoAnswer(cause: unknown): string {
  if (cause instanceof SyntaxError || cause instanceof TypeError) {
    return "what answers there is no Postgres, or broke off";
  }
  if (!(cause instanceof NeonDbError)) return describeFetchFailure(cause, TIMEOUT_MS);
  const { message, sourceError } = cause;
  if (sourceError === undefined) return shorten(message);
  const reason = describeFetchFailure(sourceError, TIMEOUT_MS);
  return sourceError instanceof TypeError ? `no connection: ${reason}` : reason;
}

/** Its first line. */
function shorten(message: string): string {
  const [line = ""] = message.split("\n");
  return line.length > MAX_MESSAGE_LENGTH ? `${line.slice(0, MAX_MESSAGE_LENGTH)}…` : line;
}
