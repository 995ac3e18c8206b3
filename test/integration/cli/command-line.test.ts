/**
 * The command line as a whole: where its settings come from, and help.
 */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { cli, expectFailure, expectUsageError, usePostgres } from "../../support/cli.ts";
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
  ])("of %s: its options, those of all, and an example that names it", async (command) => {
    const { code, stdout, stderr } = await cli([...command.split(" "), "--help"]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
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
