/**
 * `wspubsub domains`: values by the rules of the schema, and secrets that are never shown again.
 */
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { columnOf, POLICY_FIELDS, POLICY_RULES } from "../../../src/core/policy.ts";
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
import { makeKeyPair } from "../../support/key-pair.ts";
import { fileWith, temporaryFolder } from "../../support/temporary-files.ts";

usePostgres();

const BOUNDED = POLICY_FIELDS.flatMap((field) => {
  const rule = POLICY_RULES[field];
  return "least" in rule ? [[columnOf(field), rule.least, rule.most] as const] : [];
});

describe("domains", () => {
  test("show gives the defaults of a domain without a row, those of the schema", async () => {
    const domain = newDomain();
    for (const args of [[], ["--json"]]) {
      const run = await cli(["domains", "show", domain, ...args]);
      expectFailure(run, `There is no domain "${domain}"`);
    }
    for (const [odd, quoted] of [
      ["-x y", "-- '-x y'"],
      ["*", "'*'"],
    ] as const) {
      const run = await cli(["domains", "show", "--", odd]);
      expectFailure(run, `keys create ${quoted} makes a key`);
    }
    await json(["keys", "create", domain]);
    const before = await cli(["domains", "show", domain]);
    expect(before.code).toBe(0);
    expect(before.stderr).toContain("defaults");
    await sql("insert into domains (domain) values ($1)", [domain]);
    const after = await cli(["domains", "show", domain]);
    expect(after).toEqual({ code: 0, stdout: before.stdout, stderr: "" });
    const lines = after.stdout.trimEnd().split("\n").slice(1);
    expect(lines).toHaveLength(17);
    expect(lines.filter((line) => !line.endsWith("  default"))).toEqual([]);
  });

  test("set changes what is given and leaves the rest; none clears", async () => {
    const domain = newDomain();
    const run = await cli(
      ["domains", "set", domain, "--publishers", "shared", "--grace-seconds", "5"].concat(
        ["--path-keys", "false", "--max-publishers", "7"],
        ["--token-issuer", "https://id.example"],
      ),
    );
    expect(run.code).toBe(0);
    expect(run.stdout).toMatch(/^Set for "[^"]+": publishers shared, grace_seconds 5, .+\.$/m);
    const args = ["domains", "set", domain, "--history-messages", "9", "--max-publishers", "none"];
    const set = await json([...args, "--token-issuer", "none"]);
    expect(set["policy"]).toMatchObject({
      publishers: "shared",
      grace_seconds: 5,
      path_keys: false,
      history_messages: 9,
      max_publishers: null,
      token_issuer: null,
    });
    const { told: _told, missed: _missed, closed: _closed, ...shown } = set;
    expect(await json(["domains", "show", domain])).toEqual(shown);
    expect(await sql("select * from domains where domain = $1", [domain])).toEqual([
      {
        domain,
        ...(set["policy"] as object),
        token_secret: null,
        token_secret_expires_at: null,
        token_secret_previous: null,
        token_secret_previous_expires_at: null,
        token_keys: null,
      },
    ]);
    const { stdout } = await cli(["domains", "show", domain]);
    expect(stdout).toMatch(/^grace_seconds +5$/m);
    expect(stdout).toMatch(/^max_subscribers +none +default$/m);
  });

  test.each(BOUNDED)(
    "set takes %s from %i to %i, as the schema does",
    async (column, least, most) => {
      const domain = newDomain();
      const option = column.replaceAll("_", "-");
      for (const value of [least, most]) {
        const set = await json(["domains", "set", domain, `--${option}`, String(value)]);
        expect(set["policy"]).toMatchObject({ [column]: value });
      }
      const update = `update domains set ${column} = $2 where domain = $1`;
      for (const value of [least - 1, most + 1]) {
        const run = await cli(["domains", "set", domain, `--${option}`, String(value)]);
        expectUsageError(run, `from ${least} to ${most}`);
        await expect(sql(update, [domain, value])).rejects.toThrow();
      }
    },
  );

  test.each([
    [["--publishers", "many"], '"exclusive" or "shared"'],
    [["--subscribers", "all"], '"open" or "token"'],
    [["--path-keys", "yes"], '"true" or "false"'],
    [["--max-publishers", "many"], 'or "none"'],
    [["--grace-seconds", "none"], "whole number"],
    [["--token-issuer", ""], "issuer"],
    [[], "Nothing to set"],
  ])("set refuses %j", async (args, part) => {
    expectUsageError(await cli(["domains", "set", "x", ...args]), part);
  });

  test("set --token-secret new shows the secret once, show never does", async () => {
    const domain = newDomain();
    const run = await cli(["domains", "set", domain, "--token-secret", "new"]);
    const secret = run.stdout.trimEnd();
    expect(secret).toMatch(SECRET_FORM);
    expect(run.stderr).toContain("never again");
    expect(await tokenSecret(domain)).toBe(secret);
    const { stdout } = await cli(["domains", "show", domain]);
    expect(stdout).toMatch(/^token_secret +set$/m);
    const shown = await cli(["domains", "show", domain, "--json"]);
    expect(JSON.parse(shown.stdout)).toMatchObject({ token_secret_set: true });
    expect(stdout + shown.stdout + shown.stderr).not.toContain(secret);
    const made = await json(["domains", "set", domain, "--token-secret", "new"]);
    expect(made["token_secret"]).toBe(await tokenSecret(domain));
    expect(made["token_secret"]).not.toBe(secret);
    await json(["domains", "set", domain, "--token-secret", "none"]);
    expect(await tokenSecret(domain)).toBeNull();
  });

  test("set --token-secret - reads it from stdin and does not repeat it", async () => {
    const domain = newDomain();
    const secret = `geheim ${"ü".repeat(32)}`;
    const args = ["domains", "set", domain, "--token-secret", "-"];
    const run = await cli(args, { input: `${secret}\n` });
    expect(run.code).toBe(0);
    expect(run.stdout + run.stderr).not.toContain("geheim");
    expect(await tokenSecret(domain)).toBe(secret);
    expectFailure(await cli(args, { input: "geheim" }), "less than 32 characters");
    expectFailure(await cli(args, { input: `geheim\n${secret}` }), "more than one line");
  });

  test("set refuses a secret on the command line without repeating it", async () => {
    const run = await cli(["domains", "set", "x", "--token-secret", "geheim".repeat(8)]);
    expectUsageError(run, "stdin");
    expect(run.stderr).not.toContain("geheim");
  });

  test("set says when only keys open a domain", async () => {
    const args = ["domains", "set", newDomain(), "--subscribers", "token"];
    expect((await cli(args)).stderr).toContain("Only who has a key");
    expect((await cli([...args, "--token-secret", "new"])).stderr).not.toContain("Only who");
  });

  test("set --token-keys stores public keys, and none clears them", async () => {
    const domain = newDomain();
    const [ec, ed] = [await makeKeyPair("ES256", "first"), await makeKeyPair("EdDSA")];
    const file = await fileWith({ keys: [{ ...ec.public, x5t: "surplus" }, ed.public] });
    const set = await json(["domains", "set", domain, "--token-keys", file]);
    expect(set["token_keys"]).toEqual({ keys: [ec.public, ed.public] });
    expect((await cli(["domains", "show", domain])).stdout).toMatch(
      /^token_keys +first \(ES256\), without kid \(EdDSA\)$/m,
    );
    const cleared = await json(["domains", "set", domain, "--token-keys", "none"]);
    expect(cleared["token_keys"]).toBeNull();
  });

  test("set --token-keys refuses what is no set of public keys, without quoting it", async () => {
    const [ec, ed] = [await makeKeyPair("ES256", "same"), await makeKeyPair("EdDSA", "same")];
    const rsa = { kty: "RSA", n: "geheim", e: "AQAB" };
    const cases: [unknown, string][] = [
      ["geheim", "Expected a JWK Set"],
      [ec.public, "Expected a JWK Set"],
      [{ keys: [] }, "empty"],
      [{ keys: [ed.public, ec.private] }, "Key 2 of the JWK Set is private"],
      [{ keys: [{ kty: "oct", k: "geheim" }] }, "is private"],
      [{ keys: [rsa] }, "of a kind that tokens do not use"],
      [{ keys: [{ ...ec.public, crv: "P-384" }] }, "of a kind that tokens do not use"],
      [{ keys: [{ ...ec.public, x: ec.public.y }] }, '"x" or "y" is wrong'],
      [{ keys: [{ ...ed.public, x: "geheim" }] }, '"x" or "y" is wrong'],
      [{ keys: [{ ...ec.public, kid: 7 }] }, '"kid"'],
      [{ keys: [{ ...ec.public, use: "enc" }] }, '"use"'],
      [{ keys: [{ ...ec.public, alg: "ES384" }] }, '"alg"'],
      [{ keys: [{ ...ec.public, key_ops: ["sign"] }] }, '"key_ops"'],
      [{ keys: ["geheim"] }, "is no key"],
      [{ keys: ["geheim", null, {}, ec.private] }, "Key 4 of the JWK Set is private"],
      [{ keys: [ec.public, { ...rsa, d: "geheim" }] }, "Key 2 of the JWK Set is private"],
      [{ keys: [ec.public, ed.public] }, 'the same "kid"'],
    ];
    const domain = newDomain();
    for (const [content, part] of cases) {
      const file = await fileWith(content);
      const run = await cli(["domains", "set", domain, "--token-keys", file]);
      expectFailure(run, part);
      expect(run.stderr).not.toContain("geheim");
    }
    const missing = join(await temporaryFolder(), "nothing.json");
    expectFailure(await cli(["domains", "set", domain, "--token-keys", missing]), "ENOENT");
    expect(await sql("select from domains where domain = $1", [domain])).toEqual([]);
  });

  test("13.11 set --token-keys leaves out what is of no use, by name, and says so", async () => {
    const [ec, ed] = [await makeKeyPair("ES256", "good"), await makeKeyPair("EdDSA")];
    const keys = [
      { kty: "RSA", kid: "old", n: "geheim", e: "AQAB" },
      "geheim",
      { ...ec.public, exp: 1_900_000_000 },
      { ...ed.public, kid: null, alg: "Ed25519" },
      { ...ed.public, kid: "point", x: "geheim" },
    ];
    const domain = newDomain();
    const run = await cli(
      ["domains", "set", domain, "--token-secret", "new", "--token-keys"].concat(
        await fileWith({ keys }),
      ),
    );
    expect(run.code).toBe(0);
    expect(run.stdout.trimEnd()).toMatch(SECRET_FORM);
    expect(run.stderr.match(/^Left out: .+$/gm)).toEqual([
      expect.stringMatching(/^Left out: Key 1 \("old"\) is of a kind/),
      "Left out: Key 2 is no key.",
      'Left out: Key 5 ("point") is no key: "x" or "y" is wrong.',
    ]);
    expect(run.stderr).toContain("token_keys 2 set");
    expect(run.stderr).not.toContain("geheim");
    expect((await json(["domains", "show", domain]))["token_keys"]).toEqual({
      keys: [
        { ...ec.public, exp: 1_900_000_000 },
        { ...ed.public, alg: "Ed25519" },
      ],
    });
  });

  describe("a row that was written by hand", () => {
    test("is changed and shown, whatever its keys are", async () => {
      const { public: key } = await makeKeyPair("ES256", "good");
      const keys = ["text", null, 7, [], {}, { kty: 7, kid: 7 }, { ...key, kid: null }, key];
      expect(await setWith({ keys })).toMatchObject({
        token_keys_fault: null,
        shown: expect.stringMatching(
          /^Key 1 of no use, .+, without kid \(ES256\), good \(ES256\)$/,
        ),
      });
    });

    test("is shown, whatever its keys say of their ends", async () => {
      const { public: key } = await makeKeyPair("ES256", "good");
      const keys = [-1e300, 1.5, 1e300].map((exp) => ({ ...key, kid: null, exp }));
      const ends = ["-271821-04-20T00:00:00Z", "1970-01-01T00:00:01Z", "+275760-09-13T00:00:00Z"];
      expect(await setWith({ keys })).toMatchObject({
        shown: ends.map((end) => `without kid (ES256, until ${end})`).join(", "),
      });
    });

    test("with a private key is called refused, and nothing private is shown", async () => {
      const { private: key } = await makeKeyPair("ES256", "secret-one");
      const made = await setWith({
        keys: [
          { ...key, d: "geheim" },
          { kty: "oct", k: "geheim" },
        ],
      });
      expect(made).toMatchObject({
        token_keys_fault: 'Key 1 ("secret-one") is private',
        shown: expect.stringContaining("refused"),
      });
      expect(JSON.stringify(made)).not.toContain("geheim");
    });
  });
});

describe("domains rotate-secret", () => {
  test("13.9 makes a new one beside the old one, for an hour", async () => {
    const { domain, old } = await withSecret();
    const run = await cli(["domains", "rotate-secret", domain]);
    expect(run.code).toBe(0);
    const secret = run.stdout.trimEnd();
    expect(secret).toMatch(SECRET_FORM);
    expect(run.stderr).toContain("never again");
    expect(run.stderr).toMatch(/goes on signing tokens: until \d{4}-/);
    const stored = await secretsOf(domain);
    expect(stored).toMatchObject({
      token_secret: secret,
      token_secret_previous: old,
      end: null,
    });
    expect(stored.previous_end).toBeGreaterThan(3500);
    expect(stored.previous_end).toBeLessThanOrEqual(3600);
    const shown = await cli(["domains", "show", domain]);
    expect(shown.stdout).toMatch(
      /^token_secret +set; the one before still signs, until \d{4}-\S+$/m,
    );
    expect(shown.stdout).not.toContain(old);
    expect(await json(["domains", "show", domain])).toMatchObject({
      token_secret_set: true,
      token_secret_expires_at: null,
      token_secret_previous: { expires_at: expect.stringMatching(/Z$/) },
    });
  });

  test("13.9 with an overlap and an end of their own; the old one ends no later than it would have", async () => {
    const { domain } = await withSecret();
    const rotate = ["domains", "rotate-secret", domain];
    const first = await json([...rotate, "--overlap", "2d", "--expires", "10m"]);
    const after = await secretsOf(domain);
    expect(after.previous_end).toBeGreaterThan(172_000);
    expect(after.end).toBeLessThanOrEqual(600);
    const second = await cli([...rotate, "--overlap", "2d"]);
    expect(second.stderr).toContain("the one before the old one ends with this");
    const last = await secretsOf(domain);
    expect(last).toMatchObject({
      token_secret: second.stdout.trimEnd(),
      token_secret_previous: first["token_secret"],
      end: null,
    });
    expect(last.previous_end).toBeLessThanOrEqual(600);
  });

  test("13.9 --overlap 0s ends the old one", async () => {
    const { domain } = await withSecret();
    const run = await cli(["domains", "rotate-secret", domain, "--overlap", "0s"]);
    expect(run.stderr).toContain("signs nothing any more");
    expect(await secretsOf(domain)).toEqual({
      token_secret: run.stdout.trimEnd(),
      token_secret_previous: null,
      end: null,
      previous_end: null,
    });
  });

  test("13.9 a secret that is set is the only one, and has no end", async () => {
    const { domain } = await withSecret();
    for (const how of ["new", "none"]) {
      await json(["domains", "rotate-secret", domain, "--expires", "1h"]);
      await json(["domains", "set", domain, "--token-secret", how]);
      expect(await secretsOf(domain)).toMatchObject({
        token_secret_previous: null,
        end: null,
        previous_end: null,
      });
    }
  });

  test.each([
    ["infinity", "set; the one before still signs"],
    [
      "294276-12-31",
      "set, until 9999-12-31T00:00:00Z; the one before still signs, until 9999-12-31T00:00:00Z",
    ],
    ["-infinity", "set, until 1970-01-01T00:00:00Z"],
    ["4713-01-01 BC", "set, until 1970-01-01T00:00:00Z"],
  ])("shows a domain whose secrets end at %s", async (end, shown) => {
    const { domain } = await withSecret();
    await json(["domains", "rotate-secret", domain]);
    await sql(
      `update domains set token_secret_expires_at = $2, token_secret_previous_expires_at = $2
        where domain = $1`,
      [domain, end],
    );
    const { stdout } = await cli(["domains", "show", domain]);
    expect(stdout.split("\n")).toContainEqual(expect.stringMatching(/^token_secret +set/));
    expect(stdout.replaceAll(/ +/g, " ")).toContain(`token_secret ${shown}\n`);
  });

  test("refuses a domain without one, and makes none", async () => {
    const domain = newDomain();
    expectFailure(await cli(["domains", "rotate-secret", domain]), "--token-secret new");
    await json(["domains", "set", domain, "--grace-seconds", "1"]);
    expectFailure(await cli(["domains", "rotate-secret", domain]), "--token-secret new");
    expect(await tokenSecret(domain)).toBeNull();
    expectUsageError(await cli(["domains", "rotate-secret", domain, "--overlap", "1"]), "1h");
  });
});

async function tokenSecret(domain: string): Promise<unknown> {
  const [row] = await sql("select token_secret from domains where domain = $1", [domain]);
  return row?.["token_secret"];
}

/** With some keys, and a change by the command line after it. */
async function setWith(tokenKeys: unknown): Promise<Record<string, unknown>> {
  const domain = newDomain();
  const set = "insert into domains (domain, token_keys) values ($1, $2)";
  await sql(set, [domain, JSON.stringify(tokenKeys)]);
  const made = await json(["domains", "set", domain, "--token-secret", "new"]);
  expect(made["token_secret"]).toBe(await tokenSecret(domain));
  const { stdout, code } = await cli(["domains", "show", domain]);
  expect(code).toBe(0);
  return { ...made, shown: /^token_keys +(.*)$/m.exec(stdout)?.[1] };
}

interface Secrets {
  readonly token_secret: string | null;
  readonly token_secret_previous: string | null;
  readonly end: number | null;
  readonly previous_end: number | null;
}

/** What is stored; ends in seconds from now, by Postgres's clock. */
async function secretsOf(domain: string): Promise<Secrets> {
  const [row] = await sql(
    `select token_secret, token_secret_previous,
      extract(epoch from token_secret_expires_at - now())::float8 as end,
      extract(epoch from token_secret_previous_expires_at - now())::float8 as previous_end
      from domains where domain = $1`,
    [domain],
  );
  return row as unknown as Secrets;
}

async function withSecret(): Promise<{ domain: string; old: string }> {
  const domain = newDomain();
  const { token_secret: old } = await json(["domains", "set", domain, "--token-secret", "new"]);
  return { domain, old: String(old) };
}
