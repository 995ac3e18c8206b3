/**
 * Neon's HTTP protocol, as `@neondatabase/serverless` speaks it, in front of a PGlite database: `POST /sql`
 * with `{query, params}`, or `{queries: […]}` for a transaction. Values go both ways as Postgres text, so
 * the driver's own type parsers decide, as in production.
 */
import { protocol, type PGlite } from "@electric-sql/pglite";
import { createServer, type IncomingMessage, type Server } from "node:http";
import * as v from "valibot";

type Messages = Awaited<ReturnType<PGlite["execProtocolStream"]>>;

/** What the driver gets for a statement. */
interface StatementResult {
  command: string;
  rowCount: number | null;
  fields: { name: string; dataTypeID: number }[];
  rows: (string | null)[][];
  rowAsArray: true;
}

/** An answer that is not 200; `body` is sent as JSON. */
class HttpError extends Error {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;

  constructor(status: number, body: Readonly<Record<string, unknown>>) {
    super(`HTTP ${status}`);
    this.status = status;
    this.body = body;
  }
}

/** Bytes; Neon's own limit is 10 MB. */
const MAX_BODY_BYTES = 10_000_000;

const StatementSchema = v.object({
  query: v.string(),
  params: v.optional(v.array(v.unknown()), []),
});
const BodySchema = v.union([StatementSchema, v.object({ queries: v.array(StatementSchema) })]);
type Statement = v.InferOutput<typeof StatementSchema>;

/** What a batch's headers may ask of its transaction. */
const ISOLATION_LEVELS: Readonly<Record<string, string>> = {
  ReadUncommitted: "read uncommitted",
  ReadCommitted: "read committed",
  RepeatableRead: "repeatable read",
  Serializable: "serializable",
};

/** After any white space and comments. */
const STARTS_WITH_COPY = /^(?:\s|--[^\n]*(?:\n|$)|\/\*(?:[^*]|\*(?!\/))*\*\/)*copy\b/i;

/** An HTTP server, not yet listening, that runs SQL on the database. */
export function createNeonServer(database: PGlite): Server {
  return createServer((request, response) => {
    answer(database, request).then(
      (body) => {
        response.writeHead(200, { "Content-Type": "application/json" });
        response.end(JSON.stringify(body));
      },
      (error: unknown) => {
        const { status, body } =
          error instanceof HttpError ? error : new HttpError(500, { message: String(error) });
        response.writeHead(status, {
          "Content-Type": "application/json",
          ...(status === 405 && { Allow: "POST" }),
        });
        response.end(JSON.stringify(body));
      },
    );
  });
}

async function answer(database: PGlite, request: IncomingMessage): Promise<unknown> {
  if (request.url !== "/sql") {
    throw new HttpError(404, { message: "There is nothing at this path: send POST /sql" });
  }
  if (request.method !== "POST") {
    throw new HttpError(405, { message: `${request.method} is not allowed: send POST /sql` });
  }
  // Without it any web page could post here: a header of its own makes the browser ask first.
  if (request.headers["neon-connection-string"] === undefined) {
    throw new HttpError(400, { message: "The header Neon-Connection-String is missing" });
  }
  const parsed = v.safeParse(BodySchema, await readJson(request));
  if (!parsed.success) {
    throw new HttpError(400, { message: "The body must be {query, params} or {queries: […]}" });
  }
  const body = parsed.output;
  // One statement or transaction at a time: there is one connection.
  return database.runExclusive(async () => {
    try {
      if ("query" in body) return await run(database, body);
      return { results: await runTransaction(database, body.queries, request.headers) };
    } finally {
      // Each request is a session of its own: no transaction, setting or temporary table outlives it.
      if (database.isInTransaction()) await run(database, { query: "rollback", params: [] });
      await run(database, { query: "discard all", params: [] });
    }
  });
}

async function runTransaction(
  database: PGlite,
  statements: readonly Statement[],
  headers: IncomingMessage["headers"],
): Promise<StatementResult[]> {
  const modes = ["begin"];
  const name = headers["neon-batch-isolation-level"];
  if (name !== undefined) {
    const level = ISOLATION_LEVELS[String(name)];
    if (level === undefined) {
      const known = Object.keys(ISOLATION_LEVELS).join(", ");
      throw new HttpError(400, { message: `Neon-Batch-Isolation-Level must be one of ${known}` });
    }
    modes.push(`isolation level ${level}`);
  }
  if (headers["neon-batch-read-only"] === "true") modes.push("read only");
  if (headers["neon-batch-deferrable"] === "true") modes.push("deferrable");
  await run(database, { query: modes.join(" "), params: [] });
  const results: StatementResult[] = [];
  for (const statement of statements) results.push(await run(database, statement));
  await run(database, { query: "commit", params: [] });
  return results;
}

/** Runs one statement by the extended protocol, as Neon does. */
async function run(database: PGlite, { query, params }: Statement): Promise<StatementResult> {
  // PGlite has no client to copy from or to, and would wait for it forever.
  if (STARTS_WITH_COPY.test(query)) {
    throw new HttpError(400, { message: "COPY does not work over HTTP", code: "0A000" });
  }
  // It would end the text there and let the rest be read as the next message.
  if (query.includes("\0")) {
    throw new HttpError(400, { message: "A query must not contain U+0000", code: "22021" });
  }
  const { serialize } = protocol;
  const values = params.map(toText);
  const request = Buffer.concat([
    serialize.parse({ text: query }),
    serialize.bind({ values }),
    serialize.describe({ type: "P" }),
    serialize.execute({}),
    serialize.sync(),
  ]);
  return toResult(await database.execProtocolStream(request, { throwOnError: false }));
}

function toResult(messages: Messages): StatementResult {
  const result: StatementResult = {
    command: "",
    rowCount: null,
    fields: [],
    rows: [],
    rowAsArray: true,
  };
  for (const message of messages) {
    if (message instanceof protocol.messages.DatabaseError) {
      const { message: text, severity, code, detail, hint, position, where } = message;
      const { schema, table, column, dataType, constraint, routine } = message;
      const context = { where, schema, table, column, dataType, constraint, routine };
      throw new HttpError(400, {
        message: text,
        severity,
        code,
        detail,
        hint,
        position,
        ...context,
      });
    }
    if (message instanceof protocol.messages.RowDescriptionMessage) {
      result.fields = message.fields.map(({ name, dataTypeID }) => ({ name, dataTypeID }));
    }
    if (message instanceof protocol.messages.DataRowMessage) result.rows.push(message.fields);
    if (message instanceof protocol.messages.CommandCompleteMessage) {
      // "SELECT 3", "INSERT 0 1", "CREATE TABLE".
      const words = message.text.split(" ");
      const count = words.at(-1) ?? "";
      result.command = /^\d+$/.test(count) ? (words[0] ?? "") : message.text;
      result.rowCount = /^\d+$/.test(count) ? Number(count) : null;
    }
  }
  return result;
}

function toText(value: unknown): string | null {
  if (value === null || value === undefined) return null;
  return typeof value === "string" ? value : JSON.stringify(value);
}

async function readJson(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request) {
    if (!(chunk instanceof Buffer)) throw new HttpError(500, { message: "Expected bytes" });
    size += chunk.length;
    // Read to its end all the same: a client that is cut off while sending never sees the answer.
    if (size <= MAX_BODY_BYTES) chunks.push(chunk);
  }
  if (size > MAX_BODY_BYTES) {
    throw new HttpError(413, { message: `A request has at most ${MAX_BODY_BYTES} bytes` });
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString());
  } catch (cause) {
    // SyntaxError: the body is not JSON.
    throw new HttpError(400, { message: `The body is not JSON: ${String(cause)}` });
  }
}
