/**
 * The command line and `npm run db:apply` on an ordinary PostgreSQL: how it is reached, what its settings and its rows
 * may be, and what is said when it refuses.
 */
import { beforeAll, beforeEach, describe, expect, test } from "vitest";
import { expectFailure, runCli, type CliRun } from "../support/cli.ts";
import { startWirePostgres } from "../support/fake-postgres.ts";
import { needs } from "../support/optional-program.ts";
import { useOrdinaryPostgres } from "../support/ordinary-postgres.ts";
import { startProgram } from "../support/process.ts";
import { fileWith } from "../support/temporary-files.ts";

const KEY = "f47ac10b-58cc-4372-a567-0e02b2c3d479";
const NO_STATE = ["--state", "/nowhere/wspubsub"];
const ADDRESS = /^Cannot ask Postgres at 127\.0\.0\.1:\d+: /;

describe("on an ordinary PostgreSQL", needs("postgresql"), () => {
  const postgres = useOrdinaryPostgres({
    settings: ["listen_addresses=127.0.0.1,127.0.0.2"],
    hba: [
      "hostnossl all encrypted 127.0.0.2/32 reject",
      "hostssl all encrypted 127.0.0.2/32 scram-sha-256",
      "hostnossl all encrypted 127.0.0.1/32 reject",
      "hostssl all plain 127.0.0.1/32 reject",
    ],
  });

  async function listKeys(query = ""): Promise<Record<string, unknown>[]> {
    const { stdout, stderr } = await run(["keys", "list", "--json"], postgres.url({ query }));
    expect(stderr).toBe("");
    return (JSON.parse(stdout) as { keys: Record<string, unknown>[] }).keys;
  }

  /** By an address that is not the loopback that everybody knows. */
  function elsewhere(query: string): string {
    return postgres
      .url({ user: "encrypted", password: "e", query })
      .replace("127.0.0.1", "127.0.0.2");
  }

  beforeAll(async () => {
    await postgres.sql(`create role encrypted login superuser password 'e';
      create role plain login superuser password 'p'; create role reader login password 'r'`);
    await apply(postgres.url());
  });
  beforeEach(async () => {
    await postgres.sql("delete from apikeys; delete from domains");
  });

  describe("a connection", () => {
    test.each([
      ["", "plain"],
      ["sslmode=disable", "plain"],
      ["sslmode=prefer", "plain"],
      ["sslmode=require", "encrypted"],
      ["sslmode=require&channel_binding=require", "encrypted"],
      ["sslmode=no-verify", "encrypted"],
      ["ssl=true", "encrypted"],
      ["sslmode=verify-full&sslrootcert=FILE", "encrypted"],
      ["sslmode=verify-ca&sslrootcert=FILE", "encrypted"],
      ["sslmode=require&sslrootcert=FILE", "encrypted"],
    ])("by ?%s is %s, and ends with the command", async (query, user) => {
      const url = postgres.url({
        user,
        password: user.slice(0, 1),
        query: query.replace("FILE", encodeURIComponent(postgres.certificate)),
      });
      expect(await run(["keys", "list"], url)).toMatchObject({ code: 0 });
      const left = "select from pg_stat_activity where application_name = 'wspubsub'";
      await expect.poll(() => postgres.sql(left)).toEqual([]);
    });

    // The other systems have one loopback address only.
    test.runIf(process.platform === "linux")(
      "to another host is encrypted where that can be, unless the URL says otherwise",
      async () => {
        for (const query of ["", "sslmode=prefer", "sslmode=allow"]) {
          expect(await run(["keys", "list"], elsewhere(query))).toMatchObject({
            stderr: "There are no keys yet.\n",
          });
        }
        expectFailure(
          await run(["keys", "list"], elsewhere("sslmode=disable")),
          "no encryption. Add ?sslmode=require to DATABASE_URL",
        );
        const without = await startWirePostgres(
          { refusesStatement: { code: "22000", message: "asked in the clear" } },
          "127.0.0.2",
        );
        const url = without.env["DATABASE_URL"] ?? "";
        expectFailure(await run(["keys", "list"], url), `${without.place}: asked in the clear`);
        expectFailure(
          await run(["keys", "list"], `${url}?sslmode=require`),
          "it speaks no TLS, which sslmode in DATABASE_URL asks for",
        );
      },
    );

    test.each([
      [
        "sslmode=verify-full",
        "its certificate is not trusted (DEPTH_ZERO_SELF_SIGNED_CERT): name who",
      ],
      ["sslmode=verify-ca", "its certificate is not trusted (DEPTH_ZERO_SELF_SIGNED_CERT)"],
      ["sslmode=never", "sslmode in DATABASE_URL is none of disable, prefer, require"],
      [
        "sslmode=require&sslrootcert=/no/file",
        "Cannot read the file of sslrootcert in DATABASE_URL: ENOENT",
      ],
      ["host=/var/run/postgresql", 'DATABASE_URL has "host" after the question mark'],
      ["port=5432", 'DATABASE_URL has "port" after the question mark'],
    ])("by ?%s fails by name", async (query, part) => {
      expectFailure(await run(["keys", "list"], postgres.url({ query })), part);
    });

    test.each([
      [
        { password: "geheim" },
        'password authentication failed for user "admin". Check the user and the password in DATABASE_URL',
      ],
      [{ password: "" }, "it asks for a password: DATABASE_URL has none"],
      [
        { user: "encrypted", password: "e" },
        'for host "127.0.0.1", user "encrypted", database "postgres", no encryption. Add ?sslmode=require',
      ],
      [
        { user: "plain", password: "p", query: "sslmode=require" },
        "Check the user in DATABASE_URL, and pg_hba.conf",
      ],
      [
        { database: "nowhere" },
        'database "nowhere" does not exist. Check the name after the last slash of DATABASE_URL',
      ],
      [
        { query: "options=-csearch_path%3Dnowhere" },
        'relation "apikeys" does not exist. Run npm run db:apply first',
      ],
    ])("as %j is refused with what to do", async (parts, part) => {
      const refused = await run(["keys", "list"], postgres.url(parts));
      expectFailure(refused, part);
      expect(refused.stderr).toMatch(ADDRESS);
      expect(refused.stderr).not.toContain("geheim");
    });

    test("takes nothing of the environment that is not its URL's", async () => {
      const { code, stderr } = await runCli([...NO_STATE, "keys", "list"], {
        env: {
          DATABASE_URL: postgres.url(),
          PGHOST: "/nowhere",
          PGPORT: "1",
          PGDATABASE: "nowhere",
          PGUSER: "nobody",
          PGPASSWORD: "geheim",
          PGSSLMODE: "verify-full",
        },
      });
      expect({ code, stderr }).toEqual({ code: 0, stderr: "There are no keys yet.\n" });
    });

    test("says what cannot be read of a password, and not the password", async () => {
      const url = postgres.url().replace("p%40ss", "geheim%zz");
      const refused = await run(["keys", "list"], url);
      expectFailure(
        refused,
        'The password in DATABASE_URL has a "%" that stands for itself: write %25',
      );
      expect(refused.stderr).not.toContain("geheim");
    });
  });

  describe("settings", () => {
    test.each([
      "datestyle = 'German'",
      "datestyle = 'SQL, DMY'",
      "datestyle = 'Postgres'",
      "timezone = 'Pacific/Apia'",
      "intervalstyle = 'sql_standard'",
      "bytea_output = 'escape'",
      "standard_conforming_strings = off",
      "client_encoding = 'LATIN1'",
      "default_transaction_isolation = 'serializable'",
    ])("of a database do not change what is told: %s", async (setting) => {
      await postgres.sql(`insert into apikeys (domain, username, apikey, active, insert_ts, expires_at, last_used_at)
        values ('größe', 'Zoë', '${KEY}', true, '2027-01-02 03:04:05.678Z', '2999-12-31T10:30Z', '2027-03-04Z');
        insert into domains (domain, token_secret, token_secret_expires_at)
        values ('größe', repeat('s', 32), '2999-12-31T10:30Z')`);
      await postgres.sql(`alter database postgres set ${setting}`);
      try {
        expect(await listKeys()).toEqual([
          expect.objectContaining({
            domain: "größe",
            username: "Zoë",
            created_at: "2027-01-02T03:04:05.678Z",
            expires_at: "2999-12-31T10:30:00.000Z",
            last_used_at: "2027-03-04T00:00:00.000Z",
            state: "live",
          }),
        ]);
        const shown = await run(["domains", "show", "größe", "--json"], postgres.url());
        expect(JSON.parse(shown.stdout)).toMatchObject({
          token_secret_expires_at: "2999-12-31T10:30:00.000Z",
        });
        const made = await run(
          ["keys", "create", "größe", "--expires", "2999-12-31", "--json"],
          postgres.url(),
        );
        expect(JSON.parse(made.stdout)).toMatchObject({ expires_at: "2999-12-31T00:00:00.000Z" });
        expect((await apply(postgres.url())).code).toBe(0);
      } finally {
        await postgres.sql("alter database postgres reset all");
      }
    });

    test("that forbid writing are named, and reading works", async () => {
      await postgres.sql("alter database postgres set default_transaction_read_only = on");
      try {
        expect((await run(["keys", "list"], postgres.url())).code).toBe(0);
        expect((await apply(postgres.url())).code).toBe(0);
        expectFailure(
          await run(["keys", "create", "x"], postgres.url()),
          "in a read-only transaction. It takes no writes: is it a replica",
        );
      } finally {
        await postgres.sql("set transaction_read_only = off; alter database postgres reset all");
      }
    });
  });

  describe("keys list", () => {
    test("shows odd rows as far as they go, and hides no other for them", async () => {
      await postgres.sql(`insert into apikeys (id, domain, username, apikey, active) values (1, 'a', 'me', '${KEY}', true);
        alter table apikeys disable trigger all, alter domain drop not null, alter apikey drop not null;
        insert into apikeys (id, domain, apikey, insert_ts, active, apikey_hash) values
          (2, null, 'a plain key that nobody hashed', '-infinity', null, '2'), (3, 'c', null, null, true, '3'),
          (4, e'd\\n\\x1b[31m', '', 'infinity', true, '4'), (20, 'e', 'kurz', '4000-01-01 BC', true, '5');
        update apikeys set revoked_at = 'infinity', expires_at = '-infinity' where id = 20`);
      try {
        const plain = {
          username: null,
          expires_at: null,
          revoked_at: null,
          last_used_at: null,
          created_at: null,
        };
        expect(await listKeys()).toEqual([
          expect.objectContaining({ id: 1, domain: "a", hint: "f47a…", state: "live" }),
          { ...plain, id: 3, domain: "c", hint: "", state: "live" },
          { ...plain, id: 4, domain: "d\n\x1b[31m", hint: "", state: "live" },
          { ...plain, id: 20, domain: "e", hint: "…", state: "revoked" },
          { ...plain, id: 2, domain: "", hint: "a pl…", state: "inactive" },
        ]);
        const { code, stdout } = await run(["keys", "list"], postgres.url());
        expect(code).toBe(0);
        expect(stdout).toMatch(/^2 +- +a pl… +- +- +inactive +- +-$/m);
        expect(stdout).not.toContain("plain key");
      } finally {
        await postgres.sql(`delete from apikeys; alter table apikeys enable trigger all,
          alter domain set not null, alter apikey set not null`);
      }
    });

    test("sorts by number, and names rows whose number cannot be one", async () => {
      await postgres.sql(`alter table apikeys alter id drop default, alter id type text;
        insert into apikeys (id, domain, apikey) values ('10', 'a', 'a'), ('9', 'a', 'b'), ('x-1', 'a', 'c')`);
      try {
        const { code, stdout, stderr } = await run(["keys", "list", "--json"], postgres.url());
        expect(code).toBe(0);
        expect(JSON.parse(stdout)).toMatchObject({ keys: [{ id: 10 }, { id: 9 }] });
        expect(stderr).toBe(
          "Not listed, since their number is none that the hub takes: x-1. npm run db:apply says what to do\n",
        );
        const applied = await apply(postgres.url());
        expect(applied.output).toContain(
          "apikeys.id is of type text, and the hub needs an integer",
        );
        expect(applied.output).toContain("rename id to other_id. Run schema.sql again then");
      } finally {
        await postgres.sql(`delete from apikeys; alter table apikeys alter id type int using id::int;
          alter table apikeys alter id set default nextval('apikeys_id_seq')`);
      }
      await postgres.sql(
        "insert into apikeys (id, domain, apikey) values (10, 'a', 'a'), (9, 'a', 'b')",
      );
      expect(await listKeys()).toMatchObject([{ id: 9 }, { id: 10 }]);
    });
  });

  test("domains show tells of a setting whatever it is", async () => {
    await postgres.sql(`insert into domains (domain) values ('odd');
      alter table domains add column kept int; update domains set kept = grace_seconds;
      alter table domains drop column grace_seconds, add column grace_seconds numeric default 1.5`);
    try {
      const { stdout } = await run(["domains", "show", "odd", "--json"], postgres.url());
      expect(JSON.parse(stdout)).toMatchObject({ policy: { grace_seconds: "1.5" } });
      await postgres.sql(
        "alter table domains alter grace_seconds drop default, alter grace_seconds type int[] using array[1]",
      );
      expectFailure(
        await run(["domains", "show", "odd"], postgres.url()),
        "Postgres has a row that cannot be read (grace_seconds): npm run db:apply says what is wrong",
      );
    } finally {
      await postgres.sql("drop table domains");
      expect((await apply(postgres.url())).code).toBe(0);
    }
  });

  describe("a row", () => {
    test("without a hash opens nothing, and is not live", async () => {
      await postgres.sql(`alter table apikeys disable trigger user;
        insert into apikeys (domain, apikey, active) values ('test', '', true);
        alter table apikeys enable trigger user`);
      expect(await listKeys()).toMatchObject([{ domain: "test", state: "inactive" }]);
    });

    test("that a trigger keeps out was not made", async () => {
      await postgres.sql(`create function keep_out() returns trigger language plpgsql as
          'begin return null; end';
        create trigger keep_out before insert on apikeys for each row execute function keep_out()`);
      const failed = await run(["keys", "create", "test"], postgres.url());
      await postgres.sql("drop trigger keep_out on apikeys; drop function keep_out()");
      expectFailure(failed, "Postgres kept no row: see to triggers and rules of the table apikeys");
    });
  });

  describe("npm run db:apply", () => {
    test("applies schema.sql and ends", async () => {
      await postgres.sql("create database fresh");
      expect(await apply(postgres.url({ database: "fresh" }))).toEqual({
        code: 0,
        output:
          "Applied schema.sql to 127.0.0.1: 0 keys, 0 of them active, 0 hashed now, " +
          "0 domains with a policy of their own",
      });
    });

    test("gives up on who has a table for itself, though there is nothing to do", async () => {
      const other = await postgres.connect();
      await other.query("begin; lock table apikeys in access exclusive mode");
      const { code, output } = await apply(postgres.url());
      expect(code).toBe(1);
      expect(output).toMatch(/They are held by session \d+ of admin/);
      await other.query("rollback");
    });

    test("says who is in the way, and that nothing was changed", async () => {
      await postgres.sql("alter table domains drop column max_topics");
      const other = await postgres.connect();
      await other.query("begin; select from domains");
      const { code, output } = await apply(postgres.url());
      expect(code).toBe(1);
      expect(output).toMatch(
        /^Cannot apply schema\.sql to 127\.0\.0\.1:\d+: The tables are in use.*nothing was changed.*session \d+ of admin/,
      );
      expect(output).toContain("Run schema.sql again when that has ended");
      await other.query("rollback");
      expect((await apply(postgres.url())).code).toBe(0);
    });

    test("says that a right is missing", async () => {
      await postgres.sql("create database others");
      const { code, output } = await apply(
        postgres.url({ user: "reader", password: "r", database: "others" }),
      );
      expect(code).toBe(1);
      expect(output).toContain(
        "permission denied for schema public. The user of DATABASE_URL lacks that right",
      );
      await postgres.sql(
        "alter table domains drop column max_topics; grant select on apikeys, domains to reader",
      );
      const notOwner = await apply(postgres.url({ user: "reader", password: "r" }));
      expect(notOwner.output).toContain(
        "must be owner of table domains. The user of DATABASE_URL lacks that right",
      );
      await apply(postgres.url());
    });

    test("says that a database cannot hold a hint", async () => {
      await postgres.sql("create database latin encoding 'LATIN1' locale 'C' template template0");
      const { code, output } = await apply(postgres.url({ database: "latin" }));
      expect(code).toBe(1);
      expect(output).toContain("The database must be of the encoding UTF8");
    });

    test("says that a database takes no writes", async () => {
      await postgres.sql("create database empty");
      const query = "options=-cdefault_transaction_read_only%3Don";
      expect((await apply(postgres.url({ database: "empty", query }))).output).toContain(
        "in a read-only transaction. It takes no writes",
      );
    });

    test("lists keys that stand twice, and never the key", async () => {
      await postgres.sql("create database twice");
      await postgres.sql(
        `create table apikeys (id serial, domain text, apikey text, active boolean);
         insert into apikeys (domain, apikey) values ('a', '${KEY}'), ('b', '${KEY}')`,
        "twice",
      );
      const { output } = await apply(postgres.url({ database: "twice" }));
      expect(output).toContain(
        "the same key in several rows: f47a… in row 1 of a, row 2 of b. Delete all but one",
      );
      expect(output).not.toContain(KEY);
    });
  });

  test("a file that is no certificate is told of", async () => {
    const query = `sslmode=verify-full&sslrootcert=${await fileWith("nonsense")}`;
    expectFailure(await run(["keys", "list"], postgres.url({ query })), "Cannot ask Postgres at");
  });
});

function run(args: readonly string[], DATABASE_URL: string): Promise<CliRun> {
  return runCli([...NO_STATE, ...args], { env: { DATABASE_URL } });
}

async function apply(url: string): Promise<{ code: unknown; output: string }> {
  const program = startProgram("node", ["src/local/apply-schema.ts"], { DATABASE_URL: url });
  const code = await program.exited;
  return { code, output: program.output() };
}
