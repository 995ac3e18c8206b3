/**
 * `wspubsub keys create`, `keys import` and `keys list`: what is stored, what is shown once, and what is refused.
 */
import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import {
  SECRET_FORM,
  cli,
  expectFailure,
  expectUsageError,
  json,
  newDomain,
  sql,
  usePostgres,
} from "../../support/cli.ts";

usePostgres();

describe("keys create", () => {
  test("prints the key once and stores its hash and a hint", async () => {
    const domain = newDomain();
    const { code, stdout, stderr } = await cli(["keys", "create", domain, "--username", "me"]);
    const key = stdout.trimEnd();
    expect(code).toBe(0);
    expect(key).toMatch(SECRET_FORM);
    expect(stderr).toContain("never again");
    expect(stderr).not.toContain(key);
    expect(await sql("select * from apikeys where domain = $1", [domain])).toEqual([
      expect.objectContaining({
        apikey: `${key.slice(0, 4)}…`,
        apikey_hash: createHash("sha256").update(key).digest("hex"),
        username: "me",
        active: true,
        expires_at: null,
        revoked_at: null,
      }),
    ]);
  });

  test("--json --inactive --expires 30d", async () => {
    const domain = newDomain();
    const made = await json(["keys", "create", domain, "--inactive", "--expires", "30d"]);
    expect(made).toMatchObject({ domain, username: null, state: "inactive", revoked_at: null });
    expect(made["key"]).toMatch(SECRET_FORM);
    const [row] = await sql(
      "select expires_at - insert_ts = interval '30 days' as exact from apikeys where id = $1",
      [made["id"]],
    );
    expect(row).toEqual({ exact: true });
  });

  test.each([
    ["2999-12-31", "2999-12-31T00:00:00.000Z"],
    ["2999-12-31T12:30:00+02:00", "2999-12-31T10:30:00.000Z"],
  ])("--expires %s", async (date, expires_at) => {
    expect(await json(["keys", "create", newDomain(), "--expires", date])).toMatchObject({
      expires_at,
      state: "live",
    });
  });

  test.each([
    ["tomorrow", "30d"],
    ["30", "30d"],
    ["0s", "already"],
    ["36501d", "100 years"],
    ["2020-01-01", "past"],
    ["2999-02-30", "no such date"],
    ["2999-01-01T12:00:00", "2030-01-31T12:00:00Z"],
  ])("refuses --expires %s", async (when, advice) => {
    expectUsageError(await cli(["keys", "create", "x", "--expires", when]), advice);
  });

  test.each([
    [["keys", "create"], "domain"],
    [["keys", "create", ".."], 'The domain must not be "." or ".."'],
    [["keys", "create", "x".repeat(65)], "at most 64"],
    [["keys", "create", "x", "surplus"], "too many arguments"],
    [["keys", "create", "x", "--username", ""], "Give a name"],
    [["keys", "create", "x", "--username", "u".repeat(255)], "At most 254"],
    [["keys", "make"], "unknown command 'make'"],
    [["keys", "create", "x", "--user", "me"], "unknown option '--user'"],
  ])("refuses %j", async (args, part) => {
    expectUsageError(await cli(args), part);
  });
});

describe("keys import", () => {
  test("stores the hash and a hint of the key on stdin, and never shows it", async () => {
    const domain = newDomain();
    const key = `a-known-key-${crypto.randomUUID()}`;
    const run = await cli(["keys", "import", domain, "--username", "me"], { input: key });
    expect(run).toEqual({
      code: 0,
      stdout: expect.stringMatching(
        new RegExp(`^Imported key \\d+ \\(a-kn…\\) of "${domain}", live\\.\n$`),
      ),
      stderr: "",
    });
    expect(await sql("select * from apikeys where domain = $1", [domain])).toEqual([
      expect.objectContaining({
        apikey: "a-kn…",
        apikey_hash: createHash("sha256").update(key).digest("hex"),
        username: "me",
        active: true,
      }),
    ]);
  });

  test("--json --inactive --expires", async () => {
    const domain = newDomain();
    const args = ["keys", "import", domain, "--inactive", "--expires", "2999-12-31"];
    const imported = await json(args, { input: `${domain}\n` });
    expect(imported).toEqual({
      id: expect.any(Number),
      domain,
      hint: "cli-…",
      username: null,
      created_at: expect.any(String),
      state: "inactive",
      expires_at: "2999-12-31T00:00:00.000Z",
      revoked_at: null,
      last_used_at: null,
    });
  });

  test.each([
    ["a line end", "K\n", "K"],
    ["a line end of Windows", "K\r\n", "K"],
    ["a byte order mark", "\u{FEFF}K", "K"],
    ["nothing", "K", "K"],
    ["one line end alone", " K \n", " K "],
  ])("takes %s for no part of the key", async (_, form, expected) => {
    const domain = newDomain();
    const input = form.replace("K", domain);
    await json(["keys", "import", domain], { input });
    const hash = createHash("sha256").update(expected.replace("K", domain)).digest("hex");
    expect(await sql("select apikey_hash from apikeys where domain = $1", [domain])).toEqual([
      { apikey_hash: hash },
    ]);
  });

  test("refuses a key that is there, of whatever domain, and says where", async () => {
    const [domain, other] = [newDomain(), newDomain()];
    const input = `key-of-${domain}`;
    const { id } = await json(["keys", "import", domain], { input });
    for (const place of [domain, other]) {
      const run = await cli(["keys", "import", place], { input });
      expectFailure(
        run,
        `That key is there already, as key ${String(id)} (key-…) of "${domain}", live: nothing was imported`,
      );
      expect(run.stderr).not.toContain(input);
    }
    expect(await sql("select from apikeys where domain = $1", [other])).toEqual([]);
  });

  test.each([
    ["nothing", "", "The key on stdin is empty: nothing was imported"],
    ["a line end alone", "\n", "The key on stdin is empty: nothing was imported"],
    [
      "two lines",
      "geheim\ngeheim\n",
      "The key on stdin has more than one line, or a control character",
    ],
    ["a NUL", "geheim\0", "Cannot read stdin: it is UTF-16, or no text"],
    ["too much", "geheim".repeat(43), "The key on stdin has more than 256 characters"],
    [
      "more than the hub looks up",
      "\u{1F511}".repeat(129),
      "The key on stdin has more than 256 characters",
    ],
    ["more than a megabyte", "g".repeat(2_000_000), "Cannot read stdin: it has more than 1 MiB"],
    ["a hint", "gehe…", "The key on stdin is the hint of a key, not a key: nothing was imported"],
    [
      "what is not UTF-8",
      Buffer.from("geheim\xff", "latin1"),
      "Cannot read stdin: it is not UTF-8",
    ],
    ["UTF-16", Buffer.from("\u{FEFF}geheim", "utf16le"), "Cannot read stdin: it is UTF-16"],
  ])("refuses %s", async (_, input, part) => {
    const domain = newDomain();
    const run = await cli(["keys", "import", domain], { input });
    expectFailure(run, part);
    expect(run.stderr).not.toContain("geheim");
    expect(await sql("select from apikeys where domain = $1", [domain])).toEqual([]);
  });

  test.each([
    ["a/b", "In the path it must be percent-encoded."],
    ["a b", "It cannot stand in a header"],
    ["schlüssel", "It cannot stand in a header"],
    [".", "It cannot stand in the path, where it means a folder"],
    ["eyJhbGciOiJIUzI1NiJ9.e30.c2ln", "in a header it is taken for one"],
  ])("warns of where %s cannot stand", async (input, part) => {
    const { id } = await json(["keys", "import", newDomain()], { input });
    await sql("delete from apikeys where id = $1", [id]);
    const { code, stderr } = await cli(["keys", "import", newDomain()], { input });
    expect({ code, stderr }).toEqual({ code: 0, stderr: expect.stringContaining(part) });
  });

  test("takes the key from nowhere else", async () => {
    expectUsageError(await cli(["keys", "import", "x", "geheim"]), "too many arguments");
  });
});

describe("keys list", () => {
  test("shows the keys of a domain in aligned columns", async () => {
    const domain = newDomain();
    const live = await json(["keys", "create", domain, "--username", "Zoë"]);
    const off = await json(["keys", "create", domain, "--inactive", "--expires", "2999-12-31"]);
    const { code, stdout, stderr } = await cli(["keys", "list", domain]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const [head = "", first = "", second = "", ...rest] = stdout.trimEnd().split("\n");
    expect(rest).toEqual([]);
    expect(head.split(/ {2,}/).join(" ")).toBe(
      "ID DOMAIN HINT USERNAME CREATED STATE EXPIRES USED",
    );
    expect(first).toContain(`${String(live["hint"])}  Zoë `);
    expect(second).toMatch(/inactive {2}2999-12-31T00:00:00Z {2}-$/);
    for (const column of ["DOMAIN", "HINT", "STATE"]) {
      const at = head.indexOf(column);
      expect([first, second].map((line) => line.slice(at - 2, at + 1))).toEqual([
        expect.stringMatching(/^ {2}\S$/),
        expect.stringMatching(/^ {2}\S$/),
      ]);
    }
    expect(await json(["keys", "list", domain])).toEqual({
      keys: [live, off].map(withoutKey),
    });
  });

  test("shows when a key was last used, to the day", async () => {
    const domain = newDomain();
    const { id } = await json(["keys", "create", domain]);
    await json(["keys", "create", domain]);
    await sql("update apikeys set last_used_at = '2027-03-04T23:30:00-05:00' where id = $1", [id]);
    const { stdout } = await cli(["keys", "list", domain]);
    const [head = "", first = "", second = ""] = stdout.split("\n");
    expect(first.slice(head.indexOf("USED"))).toBe("2027-03-05");
    expect(second.slice(head.indexOf("USED"))).toBe("-");
    expect(await json(["keys", "list", domain])).toMatchObject({
      keys: [{ last_used_at: "2027-03-05T04:30:00.000Z" }, { last_used_at: null }],
    });
    await sql("update apikeys set last_used_at = 'infinity' where id = $1", [id]);
    expect(await json(["keys", "list", domain])).toMatchObject({
      keys: [{ last_used_at: null }, {}],
    });
  });

  test("a database on which schema.sql was not run again serves all the same", async () => {
    const domain = newDomain();
    const used = "last_used_at";
    await sql(`alter table apikeys drop column ${used}`, []);
    try {
      const { id } = await json(["keys", "create", domain]);
      const rotated = await json(["keys", "rotate", String(id)]);
      await json(["keys", "deactivate", String(id)]);
      await json(["keys", "revoke", String(rotated["id"])]);
      expect(await json(["keys", "list", domain])).toMatchObject({
        keys: [
          { id, state: "inactive", last_used_at: null },
          { id: rotated["id"], state: "revoked", last_used_at: null },
        ],
      });
    } finally {
      await sql(`alter table apikeys add column ${used} timestamptz`, []);
    }
  });

  test("shows those of all domains", async () => {
    const domains = [newDomain(), newDomain()];
    for (const domain of domains) await json(["keys", "create", domain]);
    const { keys } = (await json(["keys", "list"])) as { keys: { domain: string }[] };
    expect(keys.map(({ domain }) => domain)).toEqual(expect.arrayContaining(domains));
  });

  test("tells expired and revoked keys, and keys of the original", async () => {
    const domain = newDomain();
    const insert = "insert into apikeys (domain, apikey, active, expires_at, revoked_at) values";
    await sql(`${insert} ($1, 'a-key-of-sixteen-and-more', null, 'infinity', null)`, [domain]);
    await sql(`${insert} ($1, 'b', true, now(), null)`, [domain]);
    await sql(`${insert} ($1, 'c', true, now(), now())`, [domain]);
    const { keys } = (await json(["keys", "list", domain])) as { keys: unknown };
    expect(keys).toMatchObject([
      { state: "inactive", hint: "a-ke…", expires_at: null },
      { state: "expired", hint: "…" },
      { state: "revoked" },
    ]);
  });

  test.each(["infinity", "-infinity", "294276-12-31", "4713-01-01 BC"])(
    "shows a key all of whose dates are %s as revoked",
    async (date) => {
      const domain = newDomain();
      await sql(
        `insert into apikeys (domain, apikey, active, insert_ts, expires_at, revoked_at, last_used_at)
          values ($1, $1, true, $2, $2, $2, $2)`,
        [domain, date],
      );
      expect((await cli(["keys", "list", domain])).code).toBe(0);
      const dates = { created_at: null, expires_at: null, revoked_at: null, last_used_at: null };
      expect(await json(["keys", "list", domain])).toMatchObject({
        keys: [{ state: "revoked", ...dates }],
      });
    },
  );

  test("says that there are none", async () => {
    const { code, stderr } = await cli(["keys", "list", newDomain()]);
    expect(code).toBe(0);
    expect(stderr).toContain("has no keys");
  });
});

function withoutKey({ key: _key, ...row }: Record<string, unknown>): Record<string, unknown> {
  return row;
}
