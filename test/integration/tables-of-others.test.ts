/**
 * schema.sql on tables that others have made or altered: what it makes usable, what it refuses, and that it changes
 * nothing then.
 */
import { PGlite } from "@electric-sql/pglite";
import { readFileSync } from "node:fs";
import { setTimeout } from "node:timers/promises";
import type { Client, QueryResult } from "pg";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { needs } from "../support/optional-program.ts";
import { useOrdinaryPostgres } from "../support/ordinary-postgres.ts";

type Row = Record<string, unknown>;

const SCHEMA = readFileSync(`${import.meta.dirname}/../../schema.sql`, "utf8");
const KEY = "f47ac10b-58cc-4372-a567-0e02b2c3d479";
const OTHER_KEY = "9b2d6a3e-0000-4000-8000-000000000001";

/** The original's table, with two keys. */
const ORIGINAL = [
  `create table apikeys (id serial, domain varchar(64), username varchar(254), apikey varchar(36),
    insert_ts timestamp default now(), active boolean default false)`,
  `insert into apikeys (domain, username, apikey, active)
    values ('one', 'me', '${KEY}', true), ('two', 'me', '${OTHER_KEY}', true)`,
];

/** What was done to it, which the hub can then use. */
const USABLE: [string, string][] = [
  ["no id, and a primary key on domain", "drop id, add primary key (domain)"],
  ["a primary key on apikey", "add primary key (apikey)"],
  ["an id that nothing gives, and that some lack", "drop id, add id int"],
  ["an identity", "drop id, add id int generated always as identity"],
  ["an id of bigint", "drop id, add id bigserial primary key"],
  ["an id of smallint", "drop id, add id smallserial"],
  ["an id that is unique with another column only", "add primary key (id, domain)"],
  ["a deferrable id", "add unique (id) deferrable"],
  ["unique (domain, username)", "add unique (domain, username)"],
  ["unique (active, domain)", "add unique (active, domain)"],
  ["an exclusion of the same domain", "add exclude using btree (domain with =)"],
  ["a domain of char", "alter domain type char(20)"],
  ["a domain of name", "alter domain type name"],
  ["a domain of a named type", "alter domain type domain_name"],
  ["a domain of few characters", "alter domain type varchar(3)"],
  [
    "texts without a width",
    "alter domain type text, alter apikey type text, alter username type text",
  ],
  ["an apikey of char", "alter apikey type char(36)"],
  ["an apikey of uuid", "alter apikey type uuid using apikey::uuid"],
  ["no username and no insert_ts", "drop username, drop insert_ts"],
  [
    "ends without a time zone",
    "add expires_at timestamp, add revoked_at date, add last_used_at timestamp",
  ],
  ["a short hash", "add apikey_hash char(64)"],
  ["a column of its own", "add note text default 'x'"],
  ["a username that must be there", "alter username set not null"],
  ["a username that has a default", "alter username set default '', alter username set not null"],
  [
    "dates and switches that must be there, and that nothing gives",
    `alter insert_ts drop default, alter insert_ts set not null,
      alter active drop default, alter active set not null`,
  ],
];

/** The same of indexes. */
const INDEXES: [string, string][] = [
  ["lower(domain)", "on apikeys (lower(domain))"],
  ["domain where active", "on apikeys (domain) where active"],
  ["an expression of two columns", "on apikeys ((domain || username))"],
  ["a constant", "on apikeys ((true)) where domain = 'one'"],
];

/** What it cannot use, and what it says. */
const REFUSED: [string, string, string][] = [
  [
    "an id of uuid",
    "alter table apikeys drop id, add id uuid default gen_random_uuid() primary key",
    "apikeys.id is of type uuid, and the hub needs an integer: alter table apikeys rename id to other_id",
  ],
  [
    "an id of text",
    "alter table apikeys alter id drop default, alter id type text",
    "apikeys.id is of type text",
  ],
  [
    "another column that must be there",
    "alter table apikeys add email text not null default 'x'; alter table apikeys alter email drop default",
    "apikeys needs a value for email, which the hub does not give",
  ],
  [
    "a generated id",
    "alter table apikeys drop id, add id int generated always as (length(domain)) stored",
    "apikeys.id is generated",
  ],
  [
    "ids that are too large",
    "alter table apikeys alter id type bigint using id::bigint + 2147483646",
    "apikeys.id must number each key, from 1 to 2147483647. These do not: 2147483648",
  ],
  ["an id of zero", "update apikeys set id = id - 1", "These do not: 0"],
  ["an id of two rows", "update apikeys set id = 7", "These do not: 7"],
  ["no column active", "alter table apikeys drop active", "apikeys has no column active"],
  ["no column apikey", "alter table apikeys drop apikey", "apikeys has no column apikey"],
  [
    "active of integer",
    "alter table apikeys alter active drop default, alter active type int using active::int",
    "apikeys.active is of type integer, and the hub needs bool: alter table apikeys alter active type bool using …",
  ],
  [
    "expires_at of text",
    "alter table apikeys add expires_at text",
    "apikeys.expires_at is of type text, and the hub needs timestamptz: alter table apikeys rename expires_at to other_expires_at",
  ],
  [
    "apikey of bytea",
    "alter table apikeys alter apikey type bytea using apikey::bytea",
    "apikeys.apikey is of type bytea",
  ],
  [
    "a generated hash",
    "alter table apikeys add apikey_hash text generated always as (md5(domain)) stored",
    "apikeys.apikey_hash is a generated column",
  ],
  [
    "a view that shows apikey",
    "create view shown as select apikey from apikeys",
    'rule _RETURN on view shown depends on column "apikey"',
  ],
  [
    "a copy of apikey",
    "alter table apikeys add copy text generated always as (upper(apikey)) stored",
    'Column "apikey" is used by generated column "copy"',
  ],
  [
    "a check of apikey",
    "alter table apikeys add constraint as_uuid check (length(apikey) = 36)",
    "alter table apikeys drop constraint as_uuid",
  ],
  [
    "a foreign key that needs one key a domain",
    `alter table apikeys add constraint one_each unique (domain);
      create table bills (domain varchar(64) constraint billed references apikeys (domain))`,
    "the foreign key billed of bills needs one_each of apikeys: drop the foreign key",
  ],
  [
    "a view of that name",
    "alter table apikeys rename to mine; create view apikeys as select * from mine",
    "public.apikeys is not an ordinary table: rename it",
  ],
  [
    "a table that inherits",
    "alter table apikeys rename to mine; create table apikeys () inherits (mine)",
    "public.apikeys is not an ordinary table",
  ],
  [
    "a table domains of somebody else",
    "create table domains (id int primary key, name text)",
    "domains has no column domain: rename the table, if it is not the hub's",
  ],
  [
    "a domain twice",
    "create table domains (domain text); insert into domains values ('a'), ('a')",
    'could not create unique index "domains_pkey": Key (domain)=(a) is duplicated',
  ],
  [
    "a setting of another type",
    "create table domains (domain text primary key, path_keys text)",
    "domains.path_keys is of type text, and the hub needs bool: alter table domains rename path_keys to other_path_keys",
  ],
  [
    "a domain that is too long for its new type",
    `alter table apikeys alter domain type char(80);
      update apikeys set domain = repeat('d', 65) where domain = 'one'`,
    "value too long for type character varying(64)",
  ],
];

describe("schema.sql in PGlite", () => {
  let database: PGlite;
  beforeAll(async () => {
    database = await PGlite.create("memory://");
  });
  afterAll(() => database.close());

  testSchema(async (query) => (await database.exec(query)).at(-1)?.rows ?? []);
});

describe("schema.sql in an ordinary PostgreSQL", needs("postgresql"), () => {
  const postgres = useOrdinaryPostgres({ settings: ["max_prepared_transactions=1"] });
  let client: Client;
  let other: Client;
  beforeAll(async () => {
    [client, other] = [await postgres.connect(), await postgres.connect()];
  });

  async function run(query: string): Promise<Row[]> {
    const results: QueryResult<Row> | QueryResult<Row>[] = await client.query<Row>(query);
    return [results].flat().at(-1)?.rows ?? [];
  }
  testSchema(run);

  test("a domain of a collation to which others are equal is made a plain text", async () => {
    await run(`create collation nearly (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
      alter table apikeys alter domain type varchar(64) collate nearly`);
    await run(SCHEMA);
    await expectUsable(run);
  });

  describe("beside an open transaction", () => {
    const READER = "begin; select from apikeys, domains";
    const WRITER = `${READER}; insert into apikeys (domain, apikey) values ('a', 'b');
      insert into domains (domain) values ('a')`;

    beforeEach(async () => {
      await run(SCHEMA);
    });
    afterEach(() => other.query("rollback"));

    test.each([
      ["a reader's", READER],
      ["a writer's", WRITER],
    ])("ends at once where there is nothing to do: %s", async (_, statements) => {
      await other.query(statements);
      await run("set statement_timeout = '5s'");
      await run(SCHEMA);
      await run("reset statement_timeout");
    });

    test("gives up soon where there is, says who is in the way, and lets others wait no longer", async () => {
      await run("alter table domains drop column max_topics");
      const before = await shape(run);
      await other.query(READER);
      const bystander = await postgres.connect();
      const [{ pid }] = (await other.query("select pg_backend_pid() as pid")).rows as [
        { pid: number },
      ];
      const failure = run(SCHEMA).catch((error: unknown) => error);
      const isWaiting = "select from pg_locks where not granted and mode = 'AccessExclusiveLock'";
      while ((await bystander.query(isWaiting)).rowCount === 0) await setTimeout(5);
      // The hub's own time for a query.
      await bystander.query("set statement_timeout = '2s'; select from domains");
      expect(await failure).toMatchObject({
        code: "55P03",
        message: expect.stringMatching(
          new RegExp(
            `nothing was changed. They are held by session ${pid} of admin, idle in transaction, since 2`,
          ),
        ),
        hint: expect.stringContaining("Run schema.sql again when that has ended"),
      });
      await other.query("rollback");
      expect(await shape(run)).toEqual(before);
      await run(SCHEMA);
      await run("select max_topics from domains");
    });

    test("gives up on another run that does not end, and says so", async () => {
      await other.query("begin; select pg_advisory_xact_lock(hashtext('wspubsub schema.sql'))");
      await expect(run(SCHEMA)).rejects.toThrow(/They are held by session \d+ of admin/);
    });

    test("names a transaction that is prepared", async () => {
      await run("alter table apikeys drop column last_used_at");
      await other.query(`${READER}; insert into apikeys (domain, apikey) values ('a', 'b')`);
      await other.query("prepare transaction 'left'");
      await expect(run(SCHEMA)).rejects.toThrow("They are held by a prepared transaction");
      await other.query("rollback prepared 'left'");
    });
  });
});

function testSchema(run: (query: string) => Promise<Row[]>): void {
  beforeEach(async () => {
    await run("drop schema public cascade; create schema public");
    await run("create domain domain_name as varchar(64)");
    for (const statement of ORIGINAL) await run(statement);
  });

  test.each([
    ...USABLE.map(([name, change]) => [name, `alter table apikeys ${change}`]),
    ["an index on some domains", "create index on apikeys (domain) where active"],
    ["an index on another text", "create index on apikeys (lower(domain), domain)"],
    ...INDEXES.map(([name, rest]) => [`a unique index on ${name}`, `create unique index ${rest}`]),
  ])("makes usable: %s", async (_, change = "") => {
    await run(change);
    await run(SCHEMA);
    await expectUsable(run);
    const before = await shape(run);
    await run(SCHEMA);
    expect(await shape(run)).toEqual(before);
  });

  test.each(REFUSED)("refuses: %s", async (_, change, message) => {
    await run(change);
    const before = await shape(run);
    await expect(run(SCHEMA)).rejects.toThrow(message);
    expect(await shape(run)).toEqual(before);
  });

  test("goes on behind numbers that were given", async () => {
    await run(
      "insert into apikeys (id, domain, apikey) values (3, 'one', 'a key with its number')",
    );
    await run(SCHEMA);
    await run(
      "insert into apikeys (domain, username, apikey) values ('one', null, 'the next key')",
    );
    expect(await run("select max(id) as id from apikeys")).toEqual([{ id: 4 }]);
  });

  test("does after the remedy what it refused", async () => {
    await run("alter table apikeys drop id, add id uuid default gen_random_uuid() primary key");
    await run("alter table apikeys rename id to other_id");
    await run(SCHEMA);
    await expectUsable(run);
  });

  test("keeps uniqueness that allows several keys", async () => {
    await run("alter table apikeys add ref int, add unique (domain, ref)");
    await run("create unique index on apikeys (lower(domain), ref)");
    await run("create unique index kept on apikeys ((domain || ref::text))");
    await run(SCHEMA);
    await expectUsable(run);
    expect(await run("select from pg_class where relname = 'kept'")).toHaveLength(1);
    await run("update apikeys set ref = 1 where id = 1");
    await expect(run("update apikeys set ref = 1 where domain = 'one'")).rejects.toThrow("unique");
  });

  test.each([
    ["nothing tells apart", ""],
    ["are told apart later", "unique deferrable"],
  ])("makes domains usable whose rows %s", async (_, uniqueness) => {
    await run(
      `create table domains (domain text ${uniqueness}, max_topics bigint not null default 5)`,
    );
    await run("insert into domains (domain) values ('one')");
    await run(SCHEMA);
    await run("insert into domains (domain) values ('one') on conflict (domain) do nothing");
    expect(
      await run("select max_topics, pg_typeof(max_topics)::text as type from domains"),
    ).toEqual([{ max_topics: 5, type: "integer" }]);
  });

  test("uses the tables that search_path finds, and makes what is missing beside them", async () => {
    await run("create schema app; set search_path = app, public");
    try {
      await run(SCHEMA);
      await expectUsable(run);
      expect(
        await run(`select distinct relnamespace::regnamespace::text as place from pg_class
          where relname in ('apikeys', 'domains') and relnamespace <> 'information_schema'::regnamespace`),
      ).toEqual([{ place: "public" }]);
      // Whoever has another path inserts all the same.
      await run("set search_path = app");
      await run("insert into public.apikeys (domain, apikey) values ('three', 'a-key-of-three')");
    } finally {
      await run("reset search_path; drop schema app");
    }
  });

  test("says that there is no schema to make tables in", async () => {
    await run("set search_path = nowhere");
    await expect(run(SCHEMA)).rejects.toThrow(
      "search_path (nowhere) names no schema that is there",
    );
    await run("reset search_path");
  });

  test("refuses a table whose rows are hidden from it", async () => {
    await run("alter table apikeys enable row level security, force row level security");
    await run(
      "create role plain; alter table apikeys owner to plain; grant all on schema public to plain",
    );
    try {
      await run("set role plain");
      await expect(run(SCHEMA)).rejects.toThrow(
        "public.apikeys has row level security, which hides rows from plain",
      );
    } finally {
      await run("reset role; drop owned by plain; drop role plain");
    }
  });

  test("lists keys that stand in several rows, and never the key", async () => {
    await run(`update apikeys set apikey = '${KEY}'`);
    await run(
      "insert into apikeys (domain, apikey) select 'd' || n, 'short' from generate_series(1, 8) n",
    );
    await run(`insert into apikeys (domain, apikey)
      select 'e' || n, 'key-' || n / 2 from generate_series(2, 21) n`);
    const before = await shape(run);
    const failure = await run(SCHEMA).catch(String);
    expect(failure).toContain(
      "apikeys has the same key in several rows: f47a… in row 1 of one, row 2 of two; " +
        "… in row 3 of d1, row 4 of d2, row 5 of d3, row 6 of d4, row 7 of d5 and 3 more; " +
        "… in row 11 of e2, row 12 of e3; … in row 13 of e4, row 14 of e5; … in row 15 of e6, row 16 of e7",
    );
    expect(failure).not.toContain("e8");
    expect(failure).not.toContain(KEY);
    expect(failure).not.toContain("short");
    expect(await shape(run)).toEqual(before);
  });

  test("tells of one key twice where rows have no number", async () => {
    await run(`alter table apikeys drop id; update apikeys set apikey = '${KEY}'`);
    await expect(run(SCHEMA)).rejects.toThrow("several rows: f47a… in one, two");
  });

  test("mends a function, a trigger and comments that are not as they should be", async () => {
    await run(SCHEMA);
    const before = await shape(run);
    await run(`alter table apikeys disable trigger apikeys_hash_key; comment on table domains is 'x';
      comment on column apikeys.active is null; alter function apikeys_hash_key() reset search_path;
      create or replace function apikey_hint(apikey text) returns text language sql as 'select apikey'`);
    await run(SCHEMA);
    expect(await shape(run)).toEqual(before);
  });

  test("leaves lock_timeout as it was", async () => {
    await run("set lock_timeout = '7s'");
    await run(`begin; ${SCHEMA}`);
    expect(await run("show lock_timeout")).toEqual([{ lock_timeout: "7s" }]);
    await run("commit; reset lock_timeout");
  });

  test("takes no lock that anybody waits for where there is nothing to do", async () => {
    await run(SCHEMA);
    await run(`begin; ${SCHEMA}`);
    expect(
      await run(`select relation::regclass, mode from pg_locks
        where pid = pg_backend_pid() and locktype = 'relation' and mode <> 'AccessShareLock'`),
    ).toEqual([]);
    await run("commit");
  });
}

/** What the hub and the command line do with a table. */
async function expectUsable(run: (query: string) => Promise<Row[]>): Promise<void> {
  const insert = "insert into apikeys (domain, username, apikey, active) values";
  await run(
    `${insert} ('one', 'me', 'another-key-of-one-0', true), ('one', 'me', 'another-key-of-one-1', true)`,
  );
  await run(`${insert} ('${"d".repeat(64)}', 'me', '${"k".repeat(256)}', true)`);
  expect(
    await run(`select domain, id between 1 and 5 as "hasId", pg_typeof(id)::text as type,
        apikey_hash = encode(sha256('${KEY}'), 'hex') as "isFirst" from apikeys
      where domain = 'one' and active and revoked_at is null and (expires_at is null or expires_at > now())
      order by 4 desc, id`),
  ).toEqual([
    { domain: "one", hasId: true, type: "integer", isFirst: true },
    { domain: "one", hasId: true, type: "integer", isFirst: false },
    { domain: "one", hasId: true, type: "integer", isFirst: false },
  ]);
  expect(await run("select distinct id from apikeys where last_used_at is null")).toHaveLength(5);
  expect(await run("select from apikeys where domain = 'ONE' or domain = 'one '")).toEqual([]);
  await run(
    "update apikeys set active = true, expires_at = now(), revoked_at = now() where id = 1",
  );
  // Each query of the hub's has its index.
  await run("set enable_seqscan = off");
  for (const [table, condition] of [
    ["apikeys", "apikey_hash = 'a' and domain = 'one'"],
    ["apikeys", "domain = 'one'"],
    ["apikeys", "id = any('{1}'::int[])"],
    ["domains", "domain = 'one'"],
  ]) {
    const plan = JSON.stringify(await run(`explain select * from ${table} where ${condition}`));
    expect(plan).toContain("Index Cond");
  }
  await run("reset enable_seqscan");
  // A plan would also go through the whole of an index in which the domain comes second.
  const first =
    await run(`select from pg_index join pg_attribute on attrelid = indrelid and attnum = indkey[0]
    where indrelid = 'apikeys'::regclass and attname = 'domain' and indpred is null`);
  expect(first).not.toEqual([]);
}

/** All that a run could change. */
async function shape(run: (query: string) => Promise<Row[]>): Promise<unknown> {
  const place = "'public'::regnamespace";
  return [
    await run(`select relname, relfilenode, relkind, obj_description(oid, 'pg_class') as note from pg_class
      where relnamespace = ${place} order by 1`),
    await run(`select attrelid::regclass::text as tab, attname, atttypid, atttypmod, attnotnull,
        col_description(attrelid, attnum) as note from pg_attribute join pg_class c on c.oid = attrelid
      where relnamespace = ${place} and relkind = 'r' and attnum > 0 order by 1, 2`),
    await run(
      `select proname, prosrc, proconfig from pg_proc where pronamespace = ${place} order by 1`,
    ),
    await run(`select tgname, tgenabled from pg_trigger where not tgisinternal order by 1`),
    await run(`select k::text from apikeys k order by 1`),
  ];
}
