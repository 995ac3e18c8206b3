/**
 * `wspubsub tokens`: JWTs that whoever knows the secret or the public key can verify.
 */
import { jwtVerify } from "jose";
import { describe, expect, test } from "vitest";
import {
  cli,
  expectFailure,
  expectUsageError,
  json,
  newDomain,
  sql,
  usePostgres,
} from "../../support/cli.ts";
import { makeKeyPair } from "../../support/key-pair.ts";
import { fileWith } from "../../support/temporary-files.ts";

usePostgres();

describe("tokens mint", () => {
  test("signs with the domain's secret", async () => {
    const domain = `do main/${newDomain()}`;
    await json(["domains", "set", domain, "--token-secret", "-"], { input: "ü".repeat(32) });
    const run = await cli([
      "tokens",
      "mint",
      domain,
      "--topic",
      "news",
      "users/7/*",
      "--subject",
      "7",
    ]);
    expect(run.code).toBe(0);
    const verified = await jwtVerify(run.stdout.trimEnd(), Buffer.from("ü".repeat(32)), {
      audience: `wspubsub:${encodeURIComponent(domain)}`,
      algorithms: ["HS256"],
    });
    const { iat = 0, ...claims } = verified.payload;
    expect(claims).toEqual({
      sub: "7",
      aud: `wspubsub:${encodeURIComponent(domain)}`,
      exp: iat + 3600,
      authorization_details: [
        { type: "wspubsub", actions: ["subscribe"], topics: ["news", "users/7/*"] },
      ],
    });
    expect(run.stderr).toContain("is open: anyone may subscribe");
  });

  test.each([
    [[], ["subscribe"]],
    [["--subscribe"], ["subscribe"]],
    [["--publish"], ["publish"]],
    [
      ["--publish", "--subscribe"],
      ["subscribe", "publish"],
    ],
  ])("13.12 lets its bearer do what is asked for: %j", async (options, actions) => {
    const domain = newDomain();
    await json(["domains", "set", domain, "--token-secret", "new", "--subscribers", "token"]);
    const mint = ["tokens", "mint", domain, "--topic", "news", ...options, "--json"];
    const { stdout, stderr } = await cli(mint);
    expect(JSON.parse(stdout)).toMatchObject({
      claims: { authorization_details: [{ type: "wspubsub", actions, topics: ["news"] }] },
    });
    expect(stderr).toContain(`Lets its bearer ${actions.join(" and ")} to "news"`);
    const doubt = "takes no tokens of publishers: domains set --token-publishers true";
    expect(stderr.includes(doubt)).toBe(actions.includes("publish"));
    await json(["domains", "set", domain, "--token-publishers", "true"]);
    expect((await cli(mint)).stderr).not.toContain(doubt);
  });

  test("13.12 a token that only publishes is of use in an open domain", async () => {
    const domain = newDomain();
    const set = await cli(["domains", "set", domain, "--token-publishers", "true"]);
    expect(set.stderr).toContain("Nobody signs tokens");
    const again = ["domains", "set", domain, "--token-secret", "new", "--token-publishers", "true"];
    expect((await cli(again)).stderr).not.toContain("Nobody signs tokens");
    const run = await cli(["tokens", "mint", domain, "--topic", "news", "--publish"]);
    expect(run.stderr).not.toContain("But");
  });

  test.each([
    ["DOMAIN --topic a b", ["a", "b"]],
    ["--topic a DOMAIN", ["a"]],
    ["--topic a b DOMAIN", ["a", "b"]],
    ["--topic=a b DOMAIN", ["a", "b"]],
    ["--topic a DOMAIN --topic b", ["a", "b"]],
    ["--topic a --subject s DOMAIN", ["a"]],
    ["--topic a --subject s b DOMAIN", ["a", "b"]],
    ["--subject s DOMAIN --topic a b --expires 5m c", ["a", "b", "c"]],
    ["--topic -a -- -b DOMAIN", ["-a", "-b"]],
  ])("takes its arguments in any order: %s", async (line, topics) => {
    const pair = await makeKeyPair("EdDSA");
    const domain = newDomain();
    const key = ["--json", "--private-key", await fileWith(pair.private)];
    const args = ["tokens", "mint", ...key, ...line.replace("DOMAIN", domain).split(" ")];
    const { stdout } = await cli(args, { env: { DATABASE_URL: "" } });
    expect(JSON.parse(stdout)).toMatchObject({
      domain,
      claims: { authorization_details: [{ topics }] },
    });
  });

  test("names the domain's issuer, or another one and says that it is not taken", async () => {
    const domain = newDomain();
    const args = ["--subscribers", "token", "--token-secret", "new", "--token-issuer", "ours"];
    await json(["domains", "set", domain, ...args]);
    const mint = ["tokens", "mint", domain, "--topic", "*", "--expires", "5m"];
    const ours = await json(mint);
    const claims = ours["claims"] as { iat: number; exp: number };
    expect(claims).toMatchObject({ iss: "ours", exp: claims.iat + 300 });
    expect(Date.parse(String(ours["expires_at"])) / 1000).toBe(claims.exp);
    const theirs = await cli([...mint, "--issuer", "theirs", "--json"]);
    expect(JSON.parse(theirs.stdout)).toMatchObject({ claims: { iss: "theirs" } });
    expect(theirs.stderr).toContain('takes tokens of the issuer "ours" only');
  });

  test.each(["ES256", "EdDSA"] as const)("signs with a private JWK: %s", async (algorithm) => {
    const domain = newDomain();
    const pair = await makeKeyPair(algorithm, "the-kid");
    const mint = ["tokens", "mint", domain, "--topic", "a", "--private-key"];
    const file = await fileWith(pair.private);
    const unknown = await cli([...mint, file]);
    expect(unknown.stderr).toContain("not among the token_keys");
    await json(["domains", "set", domain, "--token-keys", await fileWith({ keys: [pair.public] })]);
    const known = await cli([...mint, file]);
    expect(known.stderr).not.toContain("not among");
    const { protectedHeader } = await jwtVerify(known.stdout.trimEnd(), pair.public, {
      algorithms: [algorithm],
    });
    expect(protectedHeader).toMatchObject({ alg: algorithm, kid: "the-kid" });
  });

  test("signs with a private JWK whose kid is null", async () => {
    const pair = await makeKeyPair("ES256");
    const file = await fileWith({ ...pair.private, kid: null });
    const run = await cli(["tokens", "mint", "x", "--topic", "a", "--private-key", file]);
    expect((await jwtVerify(run.stdout.trimEnd(), pair.public)).protectedHeader).not.toHaveProperty(
      "kid",
    );
  });

  test("13.9 does not sign with what has ended", async () => {
    const domain = newDomain();
    const pair = await makeKeyPair("EdDSA");
    const keys = { keys: [{ ...pair.public, exp: 1_000_000_000 }] };
    await json(
      ["domains", "set", domain, "--token-secret", "new", "--token-keys"].concat(
        await fileWith(keys),
      ),
    );
    await sql("update domains set token_secret_expires_at = now() where domain = $1", [domain]);
    const mint = ["tokens", "mint", domain, "--topic", "a"];
    expectFailure(await cli(mint), "has ended");
    const run = await cli([...mint, "--private-key", await fileWith(pair.private)]);
    expect(run.stderr).toContain("the public key has ended");
  });

  test("signs with a private JWK without a database", async () => {
    const pair = await makeKeyPair("EdDSA");
    const file = await fileWith(pair.private);
    const args = ["tokens", "mint", "x", "--topic", "a", "--private-key", file];
    const run = await cli(args, { env: { DATABASE_URL: "" } });
    expect(run.code).toBe(0);
    const { payload, protectedHeader } = await jwtVerify(run.stdout.trimEnd(), pair.public);
    expect(protectedHeader).not.toHaveProperty("kid");
    expect(payload).not.toHaveProperty("iss");
    expect(payload.sub).toMatch(/^[\da-f-]{36}$/);
  });

  test("refuses a domain without a secret, and files without a private key", async () => {
    const mint = ["tokens", "mint", newDomain(), "--topic", "a"];
    expectFailure(await cli(mint), "--token-secret new");
    const pair = await makeKeyPair("ES256");
    const cases: [unknown, string][] = [
      ["geheim", "not a JWK"],
      [pair.public, "the public key"],
      [{ kty: "oct", k: "geheim" }, "P-256"],
      [{ ...pair.private, d: "geheim" }, "is wrong"],
    ];
    for (const [content, part] of cases) {
      const run = await cli([...mint, "--private-key", await fileWith(content)]);
      expectFailure(run, part);
      expect(run.stderr).not.toContain("geheim");
    }
  });

  test.each([
    [[], "--topic"],
    [["--topic", ""], "The topic is empty"],
    [["--topic", "ok", "x".repeat(257)], "at most 256"],
    [["--topic", "x".repeat(257)], "at most 256"],
    [["--topic", "a", "--subject", ""], "1 to 256"],
    [["--topic", "a", "--subject", "x".repeat(257)], "1 to 256"],
    [["--topic", "a", "--expires", "2020-01-01"], "past"],
  ])("refuses %j", async (args, part) => {
    expectUsageError(await cli(["tokens", "mint", "x", ...args]), part);
  });

  test.each([
    [["--topic", "a"], "missing required argument 'domain'"],
    [["--topic", "a", ".."], 'The domain must not be "."'],
  ])("refuses %j without a domain", async (args, part) => {
    expectUsageError(await cli(["tokens", "mint", ...args]), part);
  });
});
