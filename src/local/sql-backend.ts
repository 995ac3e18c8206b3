/**
 * What a server of Neon's HTTP protocol needs of a Postgres: sessions that run one statement at a time,
 * with values as Postgres text both ways.
 */

/** A statement; what is no text and no `null` becomes JSON. */
export interface Statement {
  readonly query: string;
  readonly params: readonly unknown[];
}

/** What Neon's driver gets for a statement. */
export interface StatementResult {
  readonly command: string;
  readonly rowCount: number | null;
  readonly fields: readonly { readonly name: string; readonly dataTypeID: number }[];
  readonly rows: readonly (readonly (string | null)[])[];
  readonly rowAsArray: true;
}

/** Runs a statement in a session; throws a StatementError for what Postgres refuses. */
export type RunStatement = (statement: Statement) => Promise<StatementResult>;

/** A Postgres. */
export interface SqlBackend {
  /** Runs the work in a session of its own; no transaction, setting or temporary table outlives it. */
  withSession<T>(work: (run: RunStatement) => Promise<T>): Promise<T>;
}

/** What Postgres said of a statement; `fields` are an ErrorResponse's, by the names of Neon's driver. */
export class StatementError extends Error {
  override readonly name = "StatementError";
  readonly fields: Readonly<Record<string, unknown>>;

  constructor(fields: Readonly<Record<string, unknown>> & { readonly message: string }) {
    super(fields.message);
    this.fields = fields;
  }
}

/** Of an ErrorResponse, as PGlite's library and `pg` read it. */
interface ErrorFields extends Error {
  readonly severity: string | undefined;
  readonly code: string | undefined;
  readonly detail: string | undefined;
  readonly hint: string | undefined;
  readonly position: string | undefined;
  readonly where: string | undefined;
  readonly schema: string | undefined;
  readonly table: string | undefined;
  readonly column: string | undefined;
  readonly dataType: string | undefined;
  readonly constraint: string | undefined;
  readonly routine: string | undefined;
}

/** What an ErrorResponse says. */
export function toStatementError(error: ErrorFields): StatementError {
  const { message, severity, code, detail, hint, position, where } = error;
  const { schema, table, column, dataType, constraint, routine } = error;
  const context = { where, schema, table, column, dataType, constraint, routine };
  return new StatementError({ message, severity, code, detail, hint, position, ...context });
}

/** Command and count of "SELECT 3", "INSERT 0 1" or "CREATE TABLE". */
export function readCommandTag(tag: string): Pick<StatementResult, "command" | "rowCount"> {
  const words = tag.split(" ");
  const count = words.at(-1) ?? "";
  return /^\d+$/.test(count)
    ? { command: words[0] ?? "", rowCount: Number(count) }
    : { command: tag, rowCount: null };
}

/** A parameter's value as Postgres text. */
export function toText(value: unknown): string | null {
  if (value === null || value === undefined) return null;
  return typeof value === "string" ? value : JSON.stringify(value);
}
