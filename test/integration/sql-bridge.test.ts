/**
 * The hub of a laptop on an ordinary PostgreSQL: what bridges it answers as Neon does, keeps its secret, says why
 * it cannot start, and outlives the database's end.
 */
import { neon, neonConfig, type NeonQueryFunction } from "@neondatabase/serverless";
import { readFile } from "node:fs/promises";
import { afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { needs } from "../support/optional-program.ts";
import { useOrdinaryPostgres } from "../support/ordinary-postgres.ts";
import { startProgram, type Program } from "../support/process.ts";

describe("the bridge to an ordinary Postgres", needs("postgresql"), () => {
  const postgres = useOrdinaryPostgres();
  let programs: Program[] = [];
  let url: string;
  let sql: NeonQueryFunction<false, false>;

  beforeAll(async () => {
    await postgres.sql(await readFile("schema.sql", "utf8"));
  });

  beforeEach(async () => {
    const program = start(postgres.url());
    [, url = ""] = await program.line(/^Bridge {2}(postgres:\S+)$/);
    sql = connect(url);
  });

  afterEach(async () => {
    await Promise.all(programs.map((program) => program.end("SIGTERM")));
    programs = [];
  });

  function start(databaseUrl: string): Program {
    const program = startProgram("node", ["src/local/sql-bridge.ts"], {
      DATABASE_URL: databaseUrl,
    });
    programs.push(program);
    return program;
  }

  test("values, parameters, counts and types are as at Neon", async () => {
    expect(
      await sql`select ${7}::int as n, ${true}::boolean as b, ${null}::text as none, ${"grüße '\\"}::text as t,
        ${[1, 2]}::int[] as list, ${{ a: 1 }}::jsonb as j, ${Buffer.from([0, 255])}::bytea as bytes,
        9007199254740993::bigint as big, ${new Date(0)}::timestamptz as at`,
    ).toEqual([
      {
        n: 7,
        b: true,
        none: null,
        t: "grüße '\\",
        list: [1, 2],
        j: { a: 1 },
        bytes: Buffer.from([0, 255]),
        big: "9007199254740993",
        at: new Date(0),
      },
    ]);
    const full = await sql.query("select 1 as a, 2 as a", [], {
      fullResults: true,
      arrayMode: true,
    });
    expect(full).toMatchObject({ command: "SELECT", rowCount: 1, rows: [[1, 2]] });
    expect(full.fields.map(({ name, dataTypeID }) => [name, dataTypeID])).toEqual([
      ["a", 23],
      ["a", 23],
    ]);
    expect(await sql.query("", [], { fullResults: true })).toMatchObject({ command: "" });
  });

  test("errors carry what Postgres says, and two statements in one are refused", async () => {
    await expect(sql.query("select usernam from apikeys")).rejects.toMatchObject({
      code: "42703",
      severity: "ERROR",
      position: "8",
      hint: expect.stringContaining("username"),
    });
    await expect(sql.query("select 1; select 2")).rejects.toMatchObject({ code: "42601" });
    expect(await sql`select 1 as v`).toEqual([{ v: 1 }]);
  });

  test("a transaction has its isolation, and leaves nothing when it fails", async () => {
    const one = sql.transaction(
      [sql`show transaction_isolation`, sql`show transaction_read_only`],
      {
        isolationLevel: "Serializable",
        readOnly: true,
      },
    );
    expect(await one).toEqual([
      [{ transaction_isolation: "serializable" }],
      [{ transaction_read_only: "on" }],
    ]);
    const insert = sql`insert into domains (domain) values ('twice')`;
    await expect(sql.transaction([insert, insert])).rejects.toMatchObject({ code: "23505" });
    expect(await sql`select from domains where domain = 'twice'`).toEqual([]);
  });

  test("a session ends with its request, whichever connection serves it", async () => {
    await sql`begin`;
    await sql`set statement_timeout = '77s'`;
    await sql`create temp table left_over (n int)`;
    const many = Array.from(
      { length: 20 },
      () =>
        sql`select current_setting('statement_timeout') as timeout, to_regclass('left_over') as t`,
    );
    const states = new Set((await Promise.all(many)).map(([row]) => JSON.stringify(row)));
    expect([...states]).toEqual(['{"timeout":"0","t":null}']);
    for (let i = 0; i < 5; i++) {
      await expect(sql`savepoint only_in_a_transaction`).rejects.toMatchObject({ code: "25P01" });
    }
  });

  test("more requests than connections are all answered", async () => {
    const numbers = Array.from({ length: 100 }, (_, i) => i);
    const results = await Promise.all(numbers.map((n) => sql`select ${n}::int as n`));
    expect(results.flat()).toEqual(numbers.map((n) => ({ n })));
    const [row] = await postgres.sql(
      "select count(*)::int as n from pg_stat_activity where application_name = 'wspubsub'",
    );
    expect(row?.["n"]).toBeLessThanOrEqual(5);
  });

  test("only who knows its secret is served, and the database's password is not in it", async () => {
    expect(url).not.toContain(encodeURIComponent("p@ss/w:rd %"));
    for (const wrong of [url.replace(/.(?=@)/, "_"), "postgres://hub@127.0.0.1/bridged", "x"]) {
      const { endpoint } = partsOf(url);
      const response = await fetch(endpoint, {
        method: "POST",
        headers: { "Neon-Connection-String": wrong },
        body: '{"query":"select 1"}',
      });
      expect(response.status).toBe(403);
    }
  });

  test("the database's end is an error each time, and its return ends that", async () => {
    expect(await sql`select 1 as v`).toEqual([{ v: 1 }]);
    await postgres.kill();
    await expect(sql`select 1`).rejects.toThrow();
    await expect(sql`select 1`).rejects.toThrow(/HTTP status 500/);
    await postgres.start();
    await expect.poll(() => sql`select 1 as v`.catch(String)).toEqual([{ v: 1 }]);
  });

  test.each([
    ["a wrong password", { password: "n0t-it" }, "password authentication failed"],
    ["no such database", { database: "nowhere" }, 'database "nowhere" does not exist'],
    ["a certificate that nobody trusts", { query: "sslmode=verify-full" }, "certificate"],
  ])("%s is said in a sentence, with exit code 1", async (_, parts, message) => {
    const program = start(postgres.url(parts));
    expect(await program.exited).toBe(1);
    expect(program.output()).toMatch(/^Cannot ask Postgres at 127\.0\.0\.1:\d+: [^\n]+$/);
    expect(program.output()).toContain(message);
    expect(program.output()).not.toContain("n0t-it");
  });

  test("nobody there is said in a sentence, with exit code 1", async () => {
    const program = start("postgres://user:n0t-it@127.0.0.1:1/db");
    expect(await program.exited).toBe(1);
    expect(program.output()).toMatch(/^Cannot ask Postgres at 127\.0\.0\.1:1: [^\n]+ECONNREFUSED/);
    expect(program.output()).not.toContain("n0t-it");
  });

  test("a database without the schema is served, with a line that says so", async () => {
    await postgres.sql("create database empty");
    const program = start(postgres.url({ database: "empty" }));
    await program.line(/^Bridge /);
    await program.line(
      /^Postgres at 127\.0\.0\.1:\d+ has no table "apikeys": run npm run db:apply$/,
    );
  });

  test("encryption is used where the URL asks for it", async () => {
    const program = start(postgres.url({ query: "sslmode=require" }));
    const [, secured = ""] = await program.line(/^Bridge {2}(postgres:\S+)$/);
    expect(
      await connect(secured)`select ssl from pg_stat_ssl where pid = pg_backend_pid()`,
    ).toEqual([{ ssl: true }]);
  });
});

function partsOf(url: string): { endpoint: string } {
  return { endpoint: `http://${new URL(url).host}/sql` };
}

function connect(url: string): NeonQueryFunction<false, false> {
  neonConfig.fetchEndpoint = partsOf(url).endpoint;
  return neon(url);
}
