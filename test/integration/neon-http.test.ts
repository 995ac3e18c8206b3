/**
 * The Postgres of a laptop answers as Neon does: the driver's round trips, its errors, and requests that
 * no driver would send.
 */
import { neon, NeonDbError, neonConfig, type NeonQueryFunction } from "@neondatabase/serverless";
import { once } from "node:events";
import { request as send, type IncomingMessage } from "node:http";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startPostgres, type LocalPostgres } from "../support/local-postgres.ts";

let postgres: LocalPostgres;
let sql: NeonQueryFunction<false, false>;

beforeAll(async () => {
  postgres = await startPostgres();
  neonConfig.fetchEndpoint = postgres.endpoint;
  sql = neon(postgres.url);
});

afterAll(() => postgres.stop());

describe("values", () => {
  test.each([
    ["integer", "select 42 as v", 42],
    [
      "bigint, which has no number in JavaScript",
      "select 9007199254740993::bigint as v",
      "9007199254740993",
    ],
    ["numeric", "select 1.50::numeric as v", "1.50"],
    ["float", "select 1.5::float8 as v", 1.5],
    ["boolean", "select true as v", true],
    ["null", "select null::int as v", null],
    ["text", "select 'grüße 🙂'::text as v", "grüße 🙂"],
    ["empty text", "select ''::text as v", ""],
    ["json", `select '{"a":[1,null]}'::json as v`, { a: [1, null] }],
    ["jsonb", `select '{"a":[1,null]}'::jsonb as v`, { a: [1, null] }],
    ["array", "select array[1,null,3] as v", [1, null, 3]],
    ["array of text", `select array['a','b,"c"',''] as v`, ["a", 'b,"c"', ""]],
    ["bytea", String.raw`select '\x00ff'::bytea as v`, Buffer.from([0, 255])],
    [
      "timestamptz",
      "select '2026-11-23 12:00:00+02'::timestamptz as v",
      new Date("2026-11-23T10:00:00Z"),
    ],
    [
      "uuid",
      "select 'f47ac10b-58cc-4372-a567-0e02b2c3d479'::uuid as v",
      "f47ac10b-58cc-4372-a567-0e02b2c3d479",
    ],
  ])("%s", async (_, query, expected) => {
    expect(await sql.query(query)).toEqual([{ v: expected }]);
  });

  test.each([
    ["number", "int", 7, 7],
    ["boolean", "boolean", false, false],
    ["null", "text", null, null],
    ["text with quotes", "text", `'"\\ 🙂`, `'"\\ 🙂`],
    ["date", "timestamptz", new Date(0), new Date(0)],
    ["array", "int[]", [1, 2], [1, 2]],
    ["object", "jsonb", { a: 1 }, { a: 1 }],
    ["bytes", "bytea", Buffer.from([1, 0, 255]), Buffer.from([1, 0, 255])],
  ])("a parameter: %s", async (_, type, given, expected) => {
    expect(await sql.query(`select $1::${type} as v`, [given])).toEqual([{ v: expected }]);
  });

  test("a parameter without a cast gets its type from the query", async () => {
    expect(await sql`select id from apikeys where domain = ${"test"} and active = ${true}`).toEqual(
      [{ id: 1 }],
    );
  });

  test("a full result has command, count and the fields' types", async () => {
    const full = await sql.query("select 1 as a, 'x'::text as b where false", [], {
      fullResults: true,
    });
    expect(full).toMatchObject({ command: "SELECT", rowCount: 0, rows: [] });
    expect(full.fields.map(({ name, dataTypeID }) => [name, dataTypeID])).toEqual([
      ["a", 23],
      ["b", 25],
    ]);
  });

  test("rows as arrays keep columns of the same name apart", async () => {
    expect(await sql.query("select 1 as a, 2 as a", [], { arrayMode: true })).toEqual([[1, 2]]);
  });

  test.each([
    ["create table counted (n int)", "CREATE TABLE", null],
    ["insert into counted values (1), (2)", "INSERT", 2],
    ["update counted set n = n + 1 where n = 1", "UPDATE", 1],
    ["delete from counted", "DELETE", 2],
    ["drop table counted", "DROP TABLE", null],
    ["", "", null],
  ])("%j reports %s %s", async (query, command, rowCount) => {
    expect(await sql.query(query, [], { fullResults: true })).toMatchObject({ command, rowCount });
  });
});

describe("a transaction", () => {
  test("gives each query's rows and is kept", async () => {
    const results = await sql.transaction([
      sql`create table kept (n int)`,
      sql`insert into kept values (${5}) returning n`,
      sql`select n + 1 as n from kept`,
    ]);
    expect(results).toEqual([[], [{ n: 5 }], [{ n: 6 }]]);
    expect(await sql`select n from kept`).toEqual([{ n: 5 }]);
  });

  test("leaves nothing when one query fails", async () => {
    await sql`create table undone (n int primary key)`;
    const failure = sql.transaction([
      sql`insert into undone values (1)`,
      sql`insert into undone values (1)`,
    ]);
    await expect(failure).rejects.toMatchObject({ code: "23505", constraint: "undone_pkey" });
    expect(await sql`select n from undone`).toEqual([]);
  });

  test("leaves nothing when its commit fails", async () => {
    await sql`create table late (n int unique deferrable initially deferred)`;
    const failure = sql.transaction([
      sql`insert into late values (1)`,
      sql`insert into late values (1)`,
    ]);
    await expect(failure).rejects.toMatchObject({ code: "23505" });
    expect(await sql`select n from late`).toEqual([]);
  });

  test("has the isolation it asks for", async () => {
    const settings = await sql.transaction(
      [sql`show transaction_isolation`, sql`show transaction_read_only`],
      { isolationLevel: "Serializable", readOnly: true, deferrable: true },
    );
    expect(settings).toEqual([
      [{ transaction_isolation: "serializable" }],
      [{ transaction_read_only: "on" }],
    ]);
    await expect(
      sql.transaction([sql`create table forbidden (n int)`], { readOnly: true }),
    ).rejects.toMatchObject({ code: "25006" });
  });
});

describe("errors", () => {
  test("carry what Postgres says of them", async () => {
    await sql`create table strict_one (n int constraint is_positive check (n > 0))`;
    const error = await failureOf(sql`insert into strict_one values (-1)`);
    expect(error).toBeInstanceOf(NeonDbError);
    expect(error).toMatchObject({
      message: 'new row for relation "strict_one" violates check constraint "is_positive"',
      severity: "ERROR",
      code: "23514",
      schema: "public",
      table: "strict_one",
      constraint: "is_positive",
    });
    expect(error.detail).toContain("-1");
  });

  test("carry position and hint", async () => {
    const error = await failureOf(sql.query("select username_ from apikeys"));
    expect(error).toMatchObject({ code: "42703", position: "8" });
    expect(error.hint).toContain("username");
  });

  test("two statements in one query are refused, as at Neon", async () => {
    expect(await failureOf(sql.query("select 1; select 2"))).toMatchObject({ code: "42601" });
  });

  test.each(["copy apikeys from stdin", "-- a --\n/* * */ COPY apikeys to stdout"])(
    "%j is refused and does not hang",
    async (query) => {
      expect(await failureOf(sql.query(query))).toMatchObject({ code: "0A000" });
    },
  );

  test("a query with U+0000 is refused", async () => {
    expect(await failureOf(sql.query("select 1 \0"))).toMatchObject({ code: "22021" });
    expect(await failureOf(sql`select ${"\0"}::text`)).toMatchObject({ code: "22021" });
  });

  test("the wrong number of parameters is an error, and the next query works", async () => {
    expect(await failureOf(sql.query("select $1::int", []))).toMatchObject({ code: "08P01" });
    expect(await sql`select 1 as v`).toEqual([{ v: 1 }]);
  });
});

describe("a session", () => {
  test("ends with its request, and so does a transaction that was left open", async () => {
    await sql`begin`;
    await sql`create table stays (n int)`;
    await sql`rollback`;
    expect(await sql`select n from stays`).toEqual([]);
  });

  test("takes its settings along", async () => {
    const [before] = await sql`show statement_timeout`;
    await sql`set statement_timeout = '77s'`;
    expect(await sql`show statement_timeout`).toEqual([before]);
  });

  test("is its own among many at once", async () => {
    const numbers = Array.from({ length: 20 }, (_, i) => i);
    const results = await Promise.all(numbers.map((n) => sql`select ${n}::int as n`));
    expect(results.flat()).toEqual(numbers.map((n) => ({ n })));
  });
});

describe("a request that no driver sends", () => {
  test.each([
    ["another path", "/", { method: "POST" }, 404, "POST /sql"],
    ["another method", "/sql", { method: "GET" }, 405, "POST /sql"],
    ["a browser's question before posting", "/sql", { method: "OPTIONS" }, 405, "POST /sql"],
    ["no connection string", "/sql", { headers: {} }, 400, "Neon-Connection-String"],
    ["no JSON", "/sql", { body: "select 1" }, 400, "not JSON"],
    ["no query", "/sql", { body: "{}" }, 400, "{query, params}"],
    ["params that are no list", "/sql", { body: '{"query":"select 1","params":1}' }, 400, "params"],
    ["an unknown isolation", "/sql", { isolation: "Chaos" }, 400, "ReadCommitted"],
    ["too large a body", "/sql", { body: " ".repeat(10_000_001) }, 413, "10000000 bytes"],
  ])("%s", async (_, path, request: Partial<Request>, status, message) => {
    const { method = "POST", body = '{"queries":[]}', headers, isolation } = request;
    const response = await fetch(new URL(path, postgres.endpoint), {
      method,
      headers: headers ?? {
        "Neon-Connection-String": postgres.url,
        ...(isolation !== undefined && { "Neon-Batch-Isolation-Level": isolation }),
      },
      ...(method === "POST" && { body }),
    });
    expect(response.status).toBe(status);
    expect(response.headers.get("content-type")).toBe("application/json");
    expect(response.headers.get("allow")).toBe(status === 405 ? "POST" : null);
    expect(await response.json()).toEqual({ message: expect.stringContaining(message) });
    expect(await sql`select 1 as v`).toEqual([{ v: 1 }]);
  });
});

describe("only this machine's programs are served", () => {
  test.each([
    ["a page's request", { Origin: "http://localhost:8080" }, "Origin"],
    ["a request of a page without an origin", { Origin: "null" }, "Origin"],
    ["a name that a page has bound to this machine", { Host: "rebound.example" }, "Host"],
    ["such a name with our port", { Host: "rebound.example:PORT" }, "Host"],
    ["a name that begins as ours", { Host: "127.0.0.1.rebound.example:PORT" }, "Host"],
    ["another port", { Host: "127.0.0.1:1" }, "Host"],
    ["no port", { Host: "127.0.0.1" }, "Host"],
  ])("%s is refused", async (_, headers: Record<string, string>, named) => {
    for (const method of ["POST", "OPTIONS"]) {
      const answer = await ask({ ...headers, "Neon-Connection-String": "x" }, method);
      expect(answer).toEqual({
        status: 403,
        allows: [],
        body: { message: expect.stringContaining(named) },
      });
    }
  });

  test.each(["127.0.0.1", "localhost", "LOCALHOST", "[::1]"])("%s is served", async (name) => {
    const headers = { Host: `${name}:PORT`, "Neon-Connection-String": "x" };
    expect(await ask(headers)).toMatchObject({ status: 200, body: { rows: [["1"]] } });
  });

  test("a refusal does not wait for the body", async () => {
    const headers = { Host: "rebound.example", "Content-Length": "1000", Expect: "100-continue" };
    expect(await ask(headers, "PUT")).toMatchObject({ status: 403 });
  });
});

/** Not by `fetch`, which sets Host and Origin itself. `PORT` stands for the Postgres's. */
async function ask(headers: Record<string, string>, method = "POST"): Promise<unknown> {
  const { port, endpoint } = postgres;
  const host = headers["Host"]?.replace("PORT", String(port));
  const sent = send(endpoint, { method, headers: { ...headers, ...(host && { Host: host }) } });
  // What announces a body and waits for leave to send it, sends none.
  if (headers["Expect"] === undefined) sent.end(method === "POST" ? '{"query":"select 1"}' : "");
  else sent.flushHeaders();
  const [response] = (await once(sent, "response")) as [IncomingMessage];
  const body: unknown = JSON.parse(await text(response));
  sent.destroy();
  const allows = Object.keys(response.headers).filter((name) => name.startsWith("access-control"));
  return { status: response.statusCode, allows, body };
}

interface Request {
  method: string;
  body: string;
  headers: Record<string, string>;
  isolation: string;
}

async function failureOf(query: Promise<unknown>): Promise<NeonDbError> {
  const error: unknown = await query.then(
    () => new Error("The query succeeded"),
    (failure: unknown) => failure,
  );
  if (error instanceof NeonDbError) return error;
  throw error;
}
