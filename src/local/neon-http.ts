/**
 * Neon's HTTP protocol, as `@neondatabase/serverless` speaks it, in front of a Postgres: `POST /sql` with
 * `{query, params}`, or `{queries: […]}` for a transaction. Values go both ways as Postgres text, so the
 * driver's own type parsers decide, as in production. For this machine's programs only: no web page reaches it,
 * not even one whose host name leads here.
 */
import { createHash, timingSafeEqual } from "node:crypto";
import { createServer, type IncomingMessage, type Server } from "node:http";
import * as v from "valibot";
import {
  StatementError,
  type RunStatement,
  type SqlBackend,
  type StatementResult,
} from "./sql-backend.ts";

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

const LOCAL_NAMES: ReadonlySet<string> = new Set(["127.0.0.1", "localhost", "[::1]"]);

/** What a batch's headers may ask of its transaction. */
const ISOLATION_LEVELS: Readonly<Record<string, string>> = {
  ReadUncommitted: "read uncommitted",
  ReadCommitted: "read committed",
  RepeatableRead: "repeatable read",
  Serializable: "serializable",
};

/** After any white space and comments. */
const STARTS_WITH_COPY = /^(?:\s|--[^\n]*(?:\n|$)|\/\*(?:[^*]|\*(?!\/))*\*\/)*copy\b/i;

/** An HTTP server, not yet listening, that runs SQL on the Postgres for who knows the password, if it has one. */
export function createNeonServer(postgres: SqlBackend, password: string | null = null): Server {
  return createServer((request, response) => {
    answer(postgres, password, request).then(
      (body) => {
        response.writeHead(200, { "Content-Type": "application/json" });
        response.end(JSON.stringify(body));
      },
      (error: unknown) => {
        const { status, body } = toHttpError(error);
        response.writeHead(status, {
          "Content-Type": "application/json",
          ...(status === 405 && { Allow: "POST" }),
        });
        response.end(JSON.stringify(body));
      },
    );
  });
}

function toHttpError(error: unknown): HttpError {
  if (error instanceof HttpError) return error;
  if (error instanceof StatementError) return new HttpError(400, error.fields);
  return new HttpError(500, { message: String(error) });
}

async function answer(
  postgres: SqlBackend,
  password: string | null,
  request: IncomingMessage,
): Promise<unknown> {
  requireLocalProgram(request);
  if (request.url !== "/sql") {
    throw new HttpError(404, { message: "There is nothing at this path: send POST /sql" });
  }
  if (request.method !== "POST") {
    throw new HttpError(405, { message: `${request.method} is not allowed: send POST /sql` });
  }
  const url = request.headers["neon-connection-string"];
  if (typeof url !== "string") {
    throw new HttpError(400, { message: "The header Neon-Connection-String is missing" });
  }
  if (password !== null && !isSame(passwordOf(url), password)) {
    throw new HttpError(403, { message: "The password in Neon-Connection-String is wrong" });
  }
  const parsed = v.safeParse(BodySchema, await readJson(request));
  if (!parsed.success) {
    throw new HttpError(400, { message: "The body must be {query, params} or {queries: […]}" });
  }
  const body = parsed.output;
  if ("query" in body) {
    requireRunnable(body);
    return postgres.withSession((run) => run(body));
  }
  const begin = beginning(request.headers);
  body.queries.forEach(requireRunnable);
  return postgres.withSession(async (run) => ({
    results: await runTransaction(run, begin, body.queries),
  }));
}

/** Browsers send Origin with every POST, and Host as the page's address has it. */
function requireLocalProgram({ headers, socket }: IncomingMessage): void {
  if (headers.origin !== undefined) {
    throw new HttpError(403, { message: "Web pages are refused: the request has an Origin" });
  }
  const [, name = "", port = "80"] = /^(.*?)(?::(\d+))?$/.exec(headers.host ?? "") ?? [];
  if (!LOCAL_NAMES.has(name.toLowerCase()) || Number(port) !== socket.localPort) {
    throw new HttpError(403, {
      message: `The Host must be 127.0.0.1:${socket.localPort}: only this machine's programs are served`,
    });
  }
}

function passwordOf(url: string): string {
  return URL.canParse(url) ? new URL(url).password : "";
}

function isSame(one: string, other: string): boolean {
  const [a, b] = [one, other].map((text) => createHash("sha256").update(text).digest());
  return a !== undefined && b !== undefined && timingSafeEqual(a, b);
}

/** How the transaction begins that a batch's headers ask for. */
function beginning(headers: IncomingMessage["headers"]): string {
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
  return modes.join(" ");
}

async function runTransaction(
  run: RunStatement,
  begin: string,
  statements: readonly Statement[],
): Promise<StatementResult[]> {
  await run({ query: begin, params: [] });
  const results: StatementResult[] = [];
  for (const statement of statements) results.push(await run(statement));
  await run({ query: "commit", params: [] });
  return results;
}

function requireRunnable({ query }: Statement): void {
  // There is no client to copy from or to.
  if (STARTS_WITH_COPY.test(query)) {
    throw new HttpError(400, { message: "COPY does not work over HTTP", code: "0A000" });
  }
  // It would end the text there and let the rest be read as the next message.
  if (query.includes("\0")) {
    throw new HttpError(400, { message: "A query must not contain U+0000", code: "22021" });
  }
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
