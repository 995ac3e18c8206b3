/**
 * schema.sql on what it may find: nothing, the original's table in its variants, and its own result. Each
 * test begins with an empty database.
 */
import { PGlite } from "@electric-sql/pglite";
import { neon, neonConfig } from "@neondatabase/serverless";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { documentBlock } from "../support/document-block.ts";
import { startPostgres, type LocalPostgres } from "../support/local-postgres.ts";
import { startProgram } from "../support/process.ts";

type Row = Record<string, unknown>;
type Run = (query: string, params?: unknown[]) => Promise<Row[]>;

const SCHEMA = readFileSync(`${import.meta.dirname}/../../schema.sql`, "utf8");
const KEY = "f47ac10b-58cc-4372-a567-0e02b2c3d479";
const OTHER_KEY = "9b2d6a3e-0000-4000-8000-000000000001";
const ORIGINAL_INSERT = `insert into apikeys (domain, username, apikey) values('test', 'hello@world.com', '${KEY}');`;
const LOOKUP = "select domain from apikeys where apikey_hash = $1 and domain = $2 and active";

/** The original's table; it is not known how its uniqueness was declared, nor under which names. */
const ORIGINAL_TABLE = `create table apikeys (id serial, domain varchar(64), username varchar(254),
  apikey varchar(36), insert_ts timestamp default now(), active boolean default false)`;
const ORIGINALS: [string, string[]][] = [
  [
    "constraints",
    [
      ORIGINAL_TABLE,
      "alter table apikeys add unique (domain), add constraint odd_name unique (apikey), add primary key (id)",
    ],
  ],
  [
    "bare indexes",
    [
      ORIGINAL_TABLE,
      'create unique index "Some Index" on apikeys (domain)',
      "create unique index on apikeys (apikey) include (domain)",
    ],
  ],
  [
    "constraint and index on the same column",
    [
      ORIGINAL_TABLE,
      "alter table apikeys add unique (domain)",
      "create unique index on apikeys (domain)",
    ],
  ],
  [
    "wider ids",
    [
      ORIGINAL_TABLE.replace("id serial", "id bigserial primary key"),
      "alter table apikeys add unique (apikey)",
      "create view key_owners as select domain, username from apikeys",
    ],
  ],
];

let postgres: LocalPostgres;
let database: PGlite;

beforeAll(async () => {
  [postgres, database] = await Promise.all([startPostgres(), PGlite.create("memory://")]);
  neonConfig.fetchEndpoint = postgres.endpoint;
});

afterAll(async () => {
  await Promise.all([postgres.stop(), database.close()]);
});

const runInPglite: Run = async (query, params) => (await database.query<Row>(query, params)).rows;
const runThroughDriver: Run = (query, params) => neon(postgres.url).query(query, params);

describe.each([
  ["in PGlite itself", runInPglite],
  ["through Neon's driver", runThroughDriver],
])("schema.sql %s", (_, run) => {
  beforeEach(async () => {
    await run("drop schema public cascade");
    await run("create schema public");
  });

  test("makes both tables in an empty database, and again", async () => {
    await run(SCHEMA);
    const shape = await describeTables(run);
    expect(new Set(shape.map((column) => column["table_name"]))).toEqual(
      new Set(["apikeys", "domains"]),
    );
    await run(ORIGINAL_INSERT);
    await run("insert into domains (domain, grace_seconds) values ('test', 3)");
    const before = await contents(run);
    await run(SCHEMA);
    expect(await describeTables(run)).toEqual(shape);
    expect(await contents(run)).toEqual(before);
  });

  test("takes the original's insert: hashed, inactive, with a hint", async () => {
    await run(SCHEMA);
    await run(ORIGINAL_INSERT);
    const [row] = await run("select * from apikeys");
    expect(row).toMatchObject({
      id: 1,
      domain: "test",
      username: "hello@world.com",
      apikey: "f47a…",
      apikey_hash: sha256(KEY),
      active: false,
    });
    expect(row?.["insert_ts"]).toBeInstanceOf(Date);
    expect(await run(LOOKUP, [sha256(KEY), "test"])).toEqual([]);
    await run("update apikeys set active = true");
    expect(await run(LOOKUP, [sha256(KEY), "test"])).toEqual([{ domain: "test" }]);
  });

  describe.each(ORIGINALS)("on the original's table with %s", (__, statements) => {
    beforeEach(async () => {
      for (const statement of statements) await run(statement);
    });

    test("keeps every row and hashes its key", async () => {
      await run(`insert into apikeys (domain, username, apikey, active, insert_ts) values
        ('test', 'hello@world.com', '${KEY}', true, '2015-03-01 10:00:00.123456'),
        ('grüße', null, 'kurz-ß', false, null), ('none', 'a', null, true, now()),
        ('empty', 'a', '', null, now())`);
      const before = await rowsWithoutKeys(run);
      await run(SCHEMA);
      expect(await rowsWithoutKeys(run)).toEqual(before);
      expect(await run("select domain, apikey, apikey_hash from apikeys order by domain")).toEqual([
        { domain: "empty", apikey: "", apikey_hash: null },
        { domain: "grüße", apikey: "…", apikey_hash: sha256("kurz-ß") },
        { domain: "none", apikey: null, apikey_hash: null },
        { domain: "test", apikey: "f47a…", apikey_hash: sha256(KEY) },
      ]);
      expect(await run(LOOKUP, [sha256(KEY), "test"])).toEqual([{ domain: "test" }]);

      const migrated = await contents(run);
      await run(SCHEMA);
      expect(await contents(run)).toEqual(migrated);
    });

    test("lets a domain have several keys, and a key be longer than a UUID", async () => {
      await run(SCHEMA);
      await run(ORIGINAL_INSERT);
      await run(ORIGINAL_INSERT.replace(KEY, OTHER_KEY));
      await run(ORIGINAL_INSERT.replace(KEY, "f47a".repeat(64)));
      expect(await run("select distinct domain, count(*)::int from apikeys group by 1")).toEqual([
        { domain: "test", count: 3 },
      ]);
      await expect(run(ORIGINAL_INSERT)).rejects.toMatchObject({ code: "23505" });
    });
  });

  test("leaves no plain key behind in the table's pages", async () => {
    for (const statement of ORIGINALS[0]?.[1] ?? []) await run(statement);
    await run(ORIGINAL_INSERT);
    const [before] = await run("select pg_relation_filenode('apikeys') as file");
    await run(SCHEMA);
    // An update would leave the old row in the old file until a vacuum.
    expect(await run("select pg_relation_filenode('apikeys') as file")).not.toEqual([before]);
  });

  describe("its trigger", () => {
    beforeEach(async () => {
      await run(SCHEMA);
      await run(ORIGINAL_INSERT);
    });

    test("hashes a changed key anew", async () => {
      await run(`update apikeys set apikey = '${OTHER_KEY}'`);
      expect(await keys(run)).toEqual([{ apikey: "9b2d…", apikey_hash: sha256(OTHER_KEY) }]);
    });

    test.each(["active = true", "username = 'x'", "apikey = apikey", "apikey = 'f47a…'"])(
      "changes nothing for: set %s",
      async (assignment) => {
        await run(`update apikeys set ${assignment}`);
        expect(await keys(run)).toEqual([{ apikey: "f47a…", apikey_hash: sha256(KEY) }]);
      },
    );

    test.each([
      ["a plain key", KEY, "f47a…"],
      ["a hint", "9b2d…", "9b2d…"],
      ["nothing", null, "…"],
      ["a short key", "short", "…"],
    ])("keeps a given hash; beside it stands %s", async (___, apikey, hint) => {
      const hash = sha256("elsewhere");
      await run("delete from apikeys");
      await run("insert into apikeys (domain, apikey, apikey_hash) values ('test', $1, $2)", [
        apikey,
        hash,
      ]);
      expect(await keys(run)).toEqual([{ apikey: hint, apikey_hash: hash }]);
      await run("update apikeys set apikey = $1, apikey_hash = $2", ["abcd…", sha256("third")]);
      expect(await keys(run)).toEqual([{ apikey: "abcd…", apikey_hash: sha256("third") }]);
    });

    test.each([
      ["insert into apikeys (domain, apikey) values ('a', '')", "An API key must not be empty"],
      ["insert into apikeys (domain) values ('a')", "An API key must not be empty"],
      ["update apikeys set apikey = ''", "An API key must not be empty"],
      ["update apikeys set apikey = null", "An API key must not be empty"],
      [
        "insert into apikeys (domain, apikey) values ('a', 'f47a…')",
        '"f47a…" is the hint of an API key, not a key',
      ],
      ["update apikeys set apikey = '…'", '"…" is the hint of an API key, not a key'],
      ["update apikeys set apikey_hash = null", '"f47a…" is the hint of an API key, not a key'],
      [
        "update apikeys set apikey_hash = upper(apikey_hash)",
        "apikey_hash must be a SHA-256 in lower-case hex",
      ],
      [
        "insert into apikeys (domain, apikey_hash) values ('a', '')",
        "apikey_hash must be a SHA-256 in lower-case hex",
      ],
    ])("refuses: %s", async (query, message) => {
      await expect(run(query)).rejects.toThrow(message);
      expect(await keys(run)).toEqual([{ apikey: "f47a…", apikey_hash: sha256(KEY) }]);
    });
  });

  test("refuses to hash a hint whose hash was lost, and changes nothing", async () => {
    await run(SCHEMA);
    await run(ORIGINAL_INSERT);
    await run("alter table apikeys disable trigger all");
    await run("update apikeys set apikey_hash = null");
    await expect(run(SCHEMA)).rejects.toThrow(
      "A row of apikeys has the hint of a key and no hash: 1 of test",
    );
    expect(await keys(run)).toEqual([{ apikey: "f47a…", apikey_hash: null }]);
  });

  test("gives a domain no tokens, and checks what signs them", async () => {
    await run(SCHEMA);
    await run("insert into domains (domain) values ('test')");
    const [row] = await run("select * from domains");
    expect(row).toMatchObject({
      token_issuer: null,
      token_secret: null,
      token_keys: null,
      token_secret_expires_at: null,
      token_secret_previous: null,
      token_secret_previous_expires_at: null,
    });
    for (const wrong of [
      "token_issuer = ''",
      "token_secret = repeat('s', 31)",
      "token_secret_previous = repeat('s', 31)",
      "token_keys = '[]'",
      "token_keys = '{}'",
    ]) {
      await expect(run(`update domains set ${wrong}`)).rejects.toMatchObject({ code: "23514" });
    }
    await run(`update domains set token_keys = '{"keys":[]}', token_secret = repeat('s', 32)`);
  });
});

describe("two runs of schema.sql at once", () => {
  const LOCKS = `select mode from pg_locks where locktype = 'advisory' and granted and objsubid = 1
    and (classid::bigint << 32) | objid::bigint = hashtext('wspubsub schema.sql')`;

  beforeEach(async () => {
    await runInPglite("drop schema public cascade");
    await runInPglite("create schema public");
  });

  // PGlite has one connection, which cannot wait for itself: the lock is looked at instead.
  test("wait for each other: each holds a lock until it commits", async () => {
    await database.transaction(async (transaction) => {
      await transaction.exec(SCHEMA);
      expect((await transaction.query(LOCKS)).rows).toEqual([{ mode: "ExclusiveLock" }]);
    });
    expect(await runInPglite(LOCKS)).toEqual([]);
  });

  test("wait before they change anything", async () => {
    await runInPglite(`create function must_be_locked() returns event_trigger language plpgsql as $$
      begin
        if not exists (${LOCKS}) then raise exception '% without the lock', tg_tag; end if;
      end $$`);
    await runInPglite(
      "create event trigger must_be_locked on ddl_command_start execute function must_be_locked()",
    );
    try {
      await expect(runInPglite("create table other ()")).rejects.toThrow("without the lock");
      await runInPglite(SCHEMA);
    } finally {
      await runInPglite("drop event trigger must_be_locked");
    }
  });
});

describe("npm run db:apply", () => {
  beforeEach(async () => {
    await runThroughDriver("drop schema public cascade");
    await runThroughDriver("create schema public");
  });

  test("applies schema.sql to DATABASE_URL and says what is there now", async () => {
    await runThroughDriver(ORIGINAL_TABLE);
    await runThroughDriver(ORIGINAL_INSERT);
    expect(await apply({ DATABASE_URL: postgres.url })).toEqual({
      code: 0,
      output:
        "Applied schema.sql to 127.0.0.1: 1 keys, 0 of them active, 1 hashed now, " +
        "0 domains with a policy of their own",
    });
    expect((await apply({ DATABASE_URL: postgres.url })).output).toContain("0 hashed now");
    expect(await keys(runThroughDriver)).toEqual([{ apikey: "f47a…", apikey_hash: sha256(KEY) }]);
  });

  test("takes over the original's table as docs/operate.md says", async () => {
    await runThroughDriver(ORIGINAL_TABLE);
    await runThroughDriver(ORIGINAL_INSERT);
    const script = await documentBlock("docs/operate.md", "move");
    const program = startProgram("sh", ["-ec", script], { DATABASE_URL: postgres.url });
    expect(await program.exited).toBe(0);
    expect(program.output()).toContain("1 hashed now");
    expect(program.output()).toMatch(/\btest\b.*f47a…/);
  });

  test.each([
    ["no DATABASE_URL", {}, "DATABASE_URL is missing"],
    ["another protocol", { DATABASE_URL: "mysql://u:geheim@h/d" }, "postgres://"],
    ["no database", { DATABASE_URL: "postgres://u:geheim@h/" }, "names no database"],
    [
      "nothing listening",
      { DATABASE_URL: "postgres://u:geheim@127.0.0.1:1/d" },
      "Cannot apply schema.sql to 127.0.0.1",
    ],
  ])("says what is wrong: %s", async (_, env, message) => {
    const { code, output } = await apply(env);
    expect(code).toBe(1);
    expect(output).toContain(message);
    expect(output).not.toContain("geheim");
    expect(output).not.toMatch(/\n {4}at /);
  });

  test("--help explains it, an unknown option is refused", async () => {
    expect(await apply({}, "--help")).toMatchObject({ code: 0 });
    const { code, output } = await apply({}, "--nonsense");
    expect(code).toBe(1);
    expect(output).toContain("--nonsense");
  });
});

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

function keys(run: Run): Promise<Row[]> {
  return run("select apikey, apikey_hash from apikeys");
}

function rowsWithoutKeys(run: Run): Promise<Row[]> {
  return run("select id::int, domain, username, insert_ts, active from apikeys order by domain");
}

async function contents(run: Run): Promise<Row[][]> {
  return [
    await run("select * from apikeys order by domain"),
    await run("select * from domains order by domain"),
  ];
}

function describeTables(run: Run): Promise<Row[]> {
  return run(`select table_name, column_name, data_type, column_default, is_nullable
    from information_schema.columns where table_schema = 'public' order by 1, 2`);
}

async function apply(
  env: Readonly<Record<string, string>>,
  ...args: string[]
): Promise<{ code: unknown; output: string }> {
  const program = startProgram("node", ["src/local/apply-schema.ts", ...args], env);
  const code = await program.exited;
  return { code, output: program.output() };
}
