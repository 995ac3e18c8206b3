/**
 * `wspubsub domains`: values by the rules of the schema, and secrets that are never shown again.
 */
import { join } from "node:path";
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
import { makeKeyPair } from "../../support/key-pair.ts";
import { fileWith, temporaryFolder } from "../../support/temporary-files.ts";

usePostgres();

describe("domains", () => {
  test("show gives the defaults of a domain without a row, those of the schema", async () => {
    const domain = newDomain();
    const before = await cli(["domains", "show", domain]);
    expect(before.code).toBe(0);
    expect(before.stderr).toContain("defaults");
    await sql("insert into domains (domain) values ($1)", [domain]);
    const after = await cli(["domains", "show", domain]);
    expect(after).toEqual({ code: 0, stdout: before.stdout, stderr: "" });
    const lines = after.stdout.trimEnd().split("\n").slice(1);
    expect(lines).toHaveLength(14);
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
      { domain, ...(set["policy"] as object), token_secret: null, token_keys: null },
    ]);
    const { stdout } = await cli(["domains", "show", domain]);
    expect(stdout).toMatch(/^grace_seconds +5$/m);
    expect(stdout).toMatch(/^max_subscribers +none +default$/m);
  });

  test.each([
    ["grace-seconds", 0, 3600],
    ["history-messages", 0, 100_000],
    ["history-seconds", 0, 2_592_000],
    ["max-message-bytes", 1, 33_554_432],
    ["max-backlog-bytes", 1024, 67_108_864],
    ["messages-per-second", 1, 2_147_483_647],
    ["max-publishers", 1, 2_147_483_647],
    ["max-subscribers", 1, 2_147_483_647],
  ])("set takes --%s from %i to %i, as the schema does", async (option, least, most) => {
    const domain = newDomain();
    const column = option.replaceAll("-", "_");
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
  });

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
});

async function tokenSecret(domain: string): Promise<unknown> {
  const [row] = await sql("select token_secret from domains where domain = $1", [domain]);
  return row?.["token_secret"];
}
