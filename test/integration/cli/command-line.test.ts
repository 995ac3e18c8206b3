/**
 * The command line as a whole: where its settings come from, and help.
 */
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { version } from "../../../package.json" with { type: "json" };
import {
  cli,
  expectFailure,
  expectUsageError,
  newDomain,
  sql,
  usePostgres,
} from "../../support/cli.ts";
import { ADMIN_TOKEN, DEAD_HUB, authorized, startFakeHub } from "../../support/fake-hub.ts";
import { temporaryFolder } from "../../support/temporary-files.ts";

usePostgres();

describe("settings", () => {
  test("of .dev.vars count where the environment has none, and not where it has", async () => {
    const hub = await startFakeHub({ status: 401, body: { title: "Seen" } });
    const vars = join(await temporaryFolder(), "vars");
    await writeFile(vars, `HUB_URL=${hub.url}/\nADMIN_TOKEN="${ADMIN_TOKEN}"\n`);
    const env = { WSPUBSUB_DEV_VARS: vars };
    expectFailure(await cli(["topics", "list", "x"], { env }), "Seen");
    expect(hub.seen).toEqual([authorized("GET /v1/domains/x/topics")]);
    const dead = await cli(["topics", "list", "x"], { env: { ...env, ...DEAD_HUB } });
    expectFailure(dead, `Cannot reach the hub at ${DEAD_HUB.HUB_URL}`);
    expect(hub.seen).toHaveLength(1);
  });

  test.each([
    [{ DATABASE_URL: "" }, "DATABASE_URL is missing"],
    [{ DATABASE_URL: "https://u:geheim@h/d" }, "does not begin with postgres://"],
    [{ DATABASE_URL: "postgres://u:geheim@127.0.0.1:2/d" }, "no connection: ECONNREFUSED"],
    [{ HUB_URL: "geheim" }, "HUB_URL is not a URL"],
    [{ HUB_URL: "ftp://geheim" }, "https://"],
    [{ HUB_URL: "http://geheim.example" }, "unless its host is localhost"],
    [{ HUB_URL: "https://u:geheim@h" }, "must have no user"],
    [{ HUB_URL: "https://h", ADMIN_TOKEN: "geheim" }, "32 characters"],
    [{ HUB_URL: "https://h", ADMIN_TOKEN: `geheim ${ADMIN_TOKEN}` }, "32 characters"],
  ])("that are wrong are named and not repeated: %j", async (env, part) => {
    const run = await cli(["keys", "list"], { env });
    expectFailure(run, part);
    expect(run.stderr).not.toContain("geheim");
  });
});

describe("help", () => {
  test.each([
    "keys create",
    "keys import",
    "keys list",
    "keys rotate",
    "keys revoke",
    "keys activate",
    "keys deactivate",
    "domains show",
    "domains set",
    "domains rotate-secret",
    "tokens mint",
    "topics list",
    "topics show",
    "topics end",
    "topics forget",
    "pub",
    "sub",
    "latency",
    "doctor",
  ])("of %s: its options, those of all, and an example that names it", async (command) => {
    const { code, stdout, stderr } = await cli([...command.split(" "), "--help"]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout.split("\n").filter((line) => line.length > 80)).toEqual([]);
    expect(stdout).toContain("--json");
    expect(stdout).toContain("--state");
    expect(stdout).toMatch(new RegExp(`^Examples?:\n  wspubsub ${command}`, "m"));
  });

  test("of the whole, and of a group", async () => {
    expect((await cli(["--help"])).stdout).toContain("Exit codes:");
    expect((await cli(["help"])).code).toBe(0);
    expect((await cli(["keys", "--help"])).stdout).toContain("rotate");
  });

  test.each([[[]], [["keys"]], [["tokens"]]])(
    "instead of %j, which is no command",
    async (args) => {
      expectUsageError(await cli(args), "Usage: wspubsub");
    },
  );
});

test.each([["--version"], ["-V"], ["keys", "--version"]])("%s", async (...args) => {
  expect(await cli(args)).toEqual({ code: 0, stdout: `${version}\n`, stderr: "" });
});

describe("what is typed wrongly", () => {
  test.each([
    ["keys revoke geheim", "error: 'id' is invalid. Give the number of a key"],
    [
      "keys revoke 1 geheim",
      "error: too many arguments for 'revoke'. Expected 1 argument but got 2.\n",
    ],
    ["keys create x --key=geheim", "error: unknown option '--key'\n"],
    ["keys create x --expires geheim", "error: option '--expires <when>' is invalid. Give a time"],
    ["tokens mint x --topic a --subject s --secret=geheim", "error: unknown option '--secret'\n"],
  ])("may be a key, and is not repeated: %s", async (line, part) => {
    const run = await cli(line.split(" "));
    expectUsageError(run, part);
    expect(run.stderr).not.toContain("geheim");
  });

  test("is escaped where it is repeated, and something better is named", async () => {
    expectUsageError(
      await cli(["keys", "creat\u001b"]),
      "unknown command 'creat\\u{1b}'\n(Did you mean create?)",
    );
  });
});

describe("the output", () => {
  const ODD = "a\u001b[2J\u009b2J\r\n\u202e\u200b\u2028\u007f\ufeff👋ä";
  const ESCAPED = String.raw`a\u{1b}[2J\u{9b}2J\u{d}\u{a}\u{202e}\u{200b}\u{2028}\u{7f}\u{feff}👋ä`;

  test("shows names that a terminal would obey as they are written, in columns", async () => {
    const domain = newDomain();
    const insert = "insert into apikeys (domain, username, apikey, active) values";
    await sql(`${insert} ($1, $2, $3, true), ($1, 'plain', 'another-key-of-many', true)`, [
      domain,
      ODD,
      domain,
    ]);
    const { code, stdout, stderr } = await cli(["keys", "list", domain]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const [head = "", odd = "", plain = "", ...rest] = stdout.split("\n");
    expect(rest).toEqual([""]);
    expect(odd).toContain(`  ${ESCAPED}  `);
    const at = head.indexOf("CREATED");
    for (const line of [odd, plain]) expect(Array.from(line).slice(at).join("")).toMatch(/^\d{4}-/);
    const asJson = await cli(["keys", "list", domain, "--json"]);
    expect(asJson.stdout).not.toMatch(/[^\n\P{C}]/u);
    expect(JSON.parse(asJson.stdout)).toMatchObject({ keys: [{ username: ODD }, {}] });
  });

  test("shows them so in sentences, on stdout and stderr", async () => {
    const domain = `${newDomain()} ${ODD}`;
    const insert =
      "insert into apikeys (domain, apikey, active) values ($1, $1, true) returning id";
    const [row] = await sql(insert, [domain]);
    const id = String(row?.["id"]);
    const name = `of "${domain.replace(ODD, ESCAPED)}"`;
    const rotated = await cli(["keys", "rotate", id]);
    expect(rotated.stderr.split("\n").filter((line) => line.includes(name))).toHaveLength(2);
    const revoked = await cli(["keys", "revoke", id]);
    expect(revoked.stdout).toMatch(/^Revoked: [^\n]+\n$/);
    expect(revoked.stdout).toContain(name);
    const again = await cli(["keys", "activate", id]);
    expectFailure(again, `Key ${id} (`);
    expect(again.stderr).toMatch(
      /^Key [^\n]+: keys create "\$\(printf '[^']+'\)" makes a new one\n$/,
    );
    expect(again.stderr).toContain(name);
  });

  test("shows so what was typed, in results, in remarks and in failures", async () => {
    const domain = newDomain();
    const typed = `${domain}\u202e`;
    const shown = `"${domain}\\u{202e}"`;
    const set = await cli(["domains", "set", typed, "--publishers", "shared"]);
    expect(set.stdout).toContain(`Set for ${shown}: `);
    const list = await cli(["keys", "list", typed]);
    expect(list.stderr).toBe(`${shown} has no keys.\n`);
    expectFailure(await cli(["domains", "rotate-secret", typed]), `${shown} has no token secret`);
  });

  test("is complete, however much it is", async () => {
    const domain = newDomain();
    const rows = 5000;
    await sql(
      `insert into apikeys (domain, username, apikey, active)
        select $1::text, repeat('u', 200), $1 || n, true from generate_series(1, $2::int) n`,
      [domain, rows],
    );
    const { stdout } = await cli(["keys", "list", domain]);
    expect(stdout.split("\n")).toHaveLength(rows + 2);
    expect(stdout.endsWith("\n")).toBe(true);
  });

  test("ends where its reader has seen enough", async () => {
    for (const args of [
      ["keys", "list"],
      ["--help"],
      ["domains", "set", newDomain(), "--publishers", "shared"],
    ]) {
      expect(await cli(args, { stdout: "closed" })).toMatchObject({ code: 0 });
    }
    expect((await cli(["keys", "list"], { stdout: "closed" })).stderr).toBe("");
  });

  test.runIf(existsSync("/dev/full"))("fails on a full disk", async () => {
    for (const args of [["keys", "list"], ["--help"], ["--version"]]) {
      expectFailure(await cli(args, { stdout: "full" }), "Cannot write to stdout (ENOSPC)\n");
    }
    expect((await cli(["keys", "make"], { stderr: "full" })).code).toBe(2);
    expect((await cli(["topics", "list", "x"], { stderr: "full" })).code).toBe(1);
  });
});

test.runIf(process.platform === "linux" && existsSync("/usr/bin/script"))(
  "a terminal is told what stdin is waited for",
  async () => {
    const command = "node src/cli/main.ts --state /nowhere domains set x --token-secret -";
    const env = { PATH: process.env["PATH"], WSPUBSUB_DEV_VARS: "/dev/null" };
    const running = promisify(execFile)("script", ["-qec", command, "/dev/null"], { env });
    running.child.stdin?.end(`${"t".repeat(40)}\n\u0004`);
    const { stdout } = await running.catch((ended: { readonly stdout: string }) => ended);
    expect(stdout).toContain("Type or paste the token secret, which this terminal shows");
    expect(stdout).toContain("DATABASE_URL is missing");
  },
);
