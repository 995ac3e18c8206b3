/** `npm run setup` from end to end, at an account at Cloudflare that is none, and its steps that need a database. */
import {
  A_HUB,
  asked,
  deployment,
  FAKE_WRANGLER,
  NO_HUB,
  stub,
  useAccount,
} from "../support/fake-account.ts";
import { neon, neonConfig } from "@neondatabase/serverless";
import { createHash } from "node:crypto";
import { existsSync, readdirSync } from "node:fs";
import { copyFile, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { DEFAULT_CONFIG } from "../../src/local/read-hub-config.ts";
import { makeFirstKey } from "../../src/local/setup/first-key.ts";
import { prepareDatabase, type HubDatabase } from "../../src/local/setup/prepare-database.ts";
import { COLUMNS } from "../../src/local/setup/schema-state.ts";
import { parseSetupOptions } from "../../src/local/setup/setup-options.ts";
import { ADMIN_TOKEN, authorized, startFakeHub, WELL, type FakeHub } from "../support/fake-hub.ts";
import { startPostgres, type LocalPostgres } from "../support/local-postgres.ts";
import { startProgram, type Program } from "../support/process.ts";
import { temporaryFolder } from "../support/temporary-files.ts";
import { HAS_TERMINAL, runAtTerminal } from "../support/terminal.ts";

let postgres: LocalPostgres;

beforeAll(async () => {
  postgres = await startPostgres();
});
afterAll(() => postgres.stop());
useAccount();

function sql(query: string): Promise<Record<string, unknown>[]> {
  neonConfig.fetchEndpoint = postgres.endpoint;
  return neon(postgres.url).query(query);
}

async function emptyDatabase(): Promise<void> {
  await sql("drop schema public cascade");
  await sql("create schema public");
}

async function hasTables(): Promise<boolean> {
  const [row] = await sql("select to_regclass('apikeys') is not null as found");
  return row?.["found"] === true;
}

/** A copy of wrangler.toml, to be added to. */
async function configFile(): Promise<string> {
  const path = join(await temporaryFolder(), "wrangler.toml");
  await copyFile("wrangler.toml", path);
  return path;
}

/** Where a hub answers that was deployed, as wrangler says it. */
function targets({ url }: FakeHub): { TARGETS: string } {
  return { TARGETS: JSON.stringify(["example.com/* (zone id: 1)", url]) };
}

function count(text: string, part: string): number {
  return text.split(part).length - 1;
}

describe("npm run setup", () => {
  let folder: string;

  beforeEach(async () => {
    folder = await temporaryFolder();
  });

  /** Starts it where nobody can answer. */
  function start(args: readonly string[], env: Readonly<Record<string, string>>): Program {
    return startProgram("node", ["src/local/setup/setup.ts", ...args], {
      WSPUBSUB_WRANGLER: FAKE_WRANGLER,
      WSPUBSUB_TEST_LOOPBACK: "1",
      DATABASE_URL: postgres.url,
      RECORD: process.env["RECORD"] ?? "",
      TMPDIR: folder,
      ...env,
    });
  }

  async function setup(
    args: readonly string[],
    env: Readonly<Record<string, string>>,
  ): Promise<{ code: unknown; output: string }> {
    const program = start(args, env);
    const code = await program.exited;
    const output = program.output();
    // A sentence, never a stack; and the password never.
    expect(output).not.toMatch(/^ +at /m);
    expect(output).not.toContain(":postgres@");
    return { code, output };
  }

  test("makes all that is missing, and shows once what is to be kept", async () => {
    await emptyDatabase();
    let isFileThere: boolean | null = null;
    const hub = await startFakeHub(() => {
      isFileThere = existsSync(deployment()?.file ?? "");
      return Promise.resolve({ status: 200, body: WELL });
    });
    const args = ["--yes", "--make-token", "--domain", "example"];
    const { code, output } = await setup(args, { ...NO_HUB, ...targets(hub) });
    expect(output).toContain(`${hub.url} is well`);
    expect(code).toBe(0);
    const [, key = ""] = /^API key: ([\w-]{43})$/m.exec(output) ?? [];
    const [, token = ""] = /^ADMIN_TOKEN=([\w-]{43})$/m.exec(output) ?? [];
    expect([count(output, key), count(output, token)]).toEqual([1, 1]);

    expect(output).toContain("Applied schema.sql");
    const hash = createHash("sha256").update(key).digest("hex");
    expect(await sql("select domain, apikey_hash, active from apikeys")).toEqual([
      { domain: "example", apikey_hash: hash, active: true },
    ]);
    expect(deployment()?.secrets).toEqual({ DATABASE_URL: postgres.url, ADMIN_TOKEN: token });
    expect(deployment()?.mode).toBe("600");
    // Nothing in what other users of this machine see, in none of wrangler's runs.
    for (const { args: seen, DATABASE_URL, ADMIN_TOKEN: passed } of asked()) {
      expect(seen.join(" ")).not.toMatch(new RegExp(`postgres:|${token}`));
      expect([DATABASE_URL, passed]).toEqual([undefined, undefined]);
    }
    // The file is there for as long as wrangler runs, and no longer.
    expect(isFileThere).toBe(false);
    expect(readdirSync(folder)).toEqual([]);
    expect(hub.seen).toEqual([{ line: "GET /v1/health", authorization: `Bearer ${token}` }]);
  });

  test("can be repeated: what is there stays, of the environment that is meant", async () => {
    await emptyDatabase();
    const hub = await startFakeHub({ status: 200, body: WELL });
    const config = await configFile();
    const before = await readFile(config, "utf8");
    const args = [
      "--yes",
      "--domain",
      "example",
      "--config",
      config,
      "--env",
      "staging",
      "--write",
    ];
    const env = { ...A_HUB, ...targets(hub), ADMIN_TOKEN };
    expect((await setup(args, env)).code).toBe(0);
    const written = await readFile(config, "utf8");
    expect(written.startsWith(before.trimEnd())).toBe(true);
    const keys = await sql("select id, apikey_hash from apikeys");
    const which = ["--config", config, "--env", "staging"];
    expect(asked().map(({ args: seen }) => seen)).toEqual([
      ["whoami", "--json"],
      ["secret", "list", "--format", "json", ...which],
      ["deployments", "status", ...which, "--json"],
      ["versions", "view", "v0", ...which, "--json"],
      ["deploy", ...which],
    ]);

    const { code, output } = await setup(["--config", config, "--env", "staging"], env);
    expect(output).toContain("hub: wspubsub-staging");
    expect(output).toContain("as new as this hub");
    expect(output).toContain("there are keys: 1 that open, of 1 domains");
    expect(code).toBe(0);
    expect(await sql("select id, apikey_hash from apikeys")).toEqual(keys);
    expect(await readFile(config, "utf8")).toBe(written);
    expect(hub.seen).toEqual([authorized("GET /v1/health"), authorized("GET /v1/health")]);
    expect(output).not.toContain(ADMIN_TOKEN);
    expect(asked().map((run) => run.ADMIN_TOKEN)).not.toContain(ADMIN_TOKEN);
  });

  test("--dry-run changes nothing, and tells all that is missing", async () => {
    await emptyDatabase();
    const env = { ...NO_HUB, ACCOUNTS: "null", FAIL: "deploy" };
    const { code, output } = await setup(["--dry-run", "--yes", "--env", "staging"], env);
    expect(output).toContain("MISSING: what [env.staging] lacks; --write adds it");
    expect(output).toContain("schema.sql would be applied");
    expect(output).toContain("MISSING: There are no keys yet");
    expect(output).toContain("MISSING: ADMIN_TOKEN is missing");
    expect(output).toContain("MISSING: wrangler would not deploy this");
    expect(output).toContain("Steps that something is missing for: 4");
    expect(code).toBe(1);
    expect(await hasTables()).toBe(false);
    const args = ["deploy", "--config", DEFAULT_CONFIG, "--env", "staging", "--dry-run"];
    expect(asked().at(-1)).toMatchObject({ args, secrets: null });

    const good = await setup(["--dry-run", "--make-token", "--domain", "example"], NO_HUB);
    expect(good.output).toContain("Nothing was changed, and nothing is missing");
    expect(good.output).not.toMatch(/[\w-]{43}/);
    expect(good.code).toBe(0);
    expect(await hasTables()).toBe(false);
    expect(readdirSync(folder)).toEqual([]);
  });

  test("deploys nothing that would have keys recorded", async () => {
    const config = await configFile();
    const text = await readFile(config, "utf8");
    await writeFile(config, text.replace("invocation_logs = false", "invocation_logs = true"));
    const { code, output } = await setup(["--config", config], A_HUB);
    expect(output).toContain("observability.logs.invocation_logs would have URLs recorded");
    expect(code).toBe(1);
    expect(asked()).toEqual([]);
  });

  test("leaves no file behind when wrangler fails, and says what to do", async () => {
    const args = ["--yes", "--domain", "example"];
    const { code, output } = await setup(args, { ...NO_HUB, ADMIN_TOKEN, FAIL: "deploy" });
    expect(output).toContain("wrangler did not deploy it. Once that is mended, run this again");
    expect(code).toBe(1);
    expect(deployment()?.secrets).toEqual({ DATABASE_URL: postgres.url, ADMIN_TOKEN });
    expect(readdirSync(folder)).toEqual([]);
  });

  test("leaves neither file nor wrangler behind when it is ended", async () => {
    const args = ["--yes", "--domain", "example"];
    const program = start(args, { ...NO_HUB, ADMIN_TOKEN, HANG: "deploy" });
    await program.line(/^Hanging as \d+$/);
    expect(existsSync(deployment()?.file ?? "")).toBe(true);
    // Its output ends with the last process that has it.
    expect(await program.end("SIGTERM")).toBe(143);
    expect(readdirSync(folder)).toEqual([]);
  });

  test("says where the hub is to be found, where wrangler does not", async () => {
    const args = ["--yes", "--domain", "example"];
    const { code, output } = await setup(args, { ...A_HUB, ADMIN_TOKEN });
    expect(output).toContain("Where the hub answers is not known: --url https://HOST says it");
    expect(code).toBe(1);
    const unsafe = { ...A_HUB, ADMIN_TOKEN, HUB_URL: "http://hub.example.com" };
    expect((await setup([], unsafe)).output).toContain(
      "HUB_URL (from the environment) takes https",
    );
  });

  test.runIf(HAS_TERMINAL)(
    "asks at a terminal for what is missing, and shows no secret",
    async () => {
      await emptyDatabase();
      const hub = await startFakeHub({ status: 200, body: WELL });
      const { code, screen } = await runAtTerminal(
        `node src/local/setup/setup.ts --env staging --config ${await configFile()}`,
        {
          WSPUBSUB_WRANGLER: FAKE_WRANGLER,
          WSPUBSUB_TEST_LOOPBACK: "1",
          RECORD: process.env["RECORD"] ?? "",
          ACCOUNTS: "null",
          LOGIN: join(folder, "login"),
          ...NO_HUB,
          ...targets(hub),
        },
        [
          ["Add it? (yes/no)", "yes\r"],
          ["Log in with a browser? (yes/no)", "y\r"],
          ["(not shown):", `${postgres.url}\r`],
          ["Apply schema.sql? No row is lost. (yes/no)", "YES\r"],
          ["the domain that gets the first key:", "example\r"],
        ],
      );
      expect(screen).toContain(`${hub.url} is well`);
      expect(code).toBe(0);
      expect(screen).not.toContain(":postgres@");
      const [, token = ""] = /^ADMIN_TOKEN=([\w-]{43})\r$/m.exec(screen) ?? [];
      expect(deployment()?.secrets).toEqual({ DATABASE_URL: postgres.url, ADMIN_TOKEN: token });
      expect(await sql("select domain from apikeys")).toEqual([{ domain: "example" }]);
    },
  );

  test("help names no secret as an option", async () => {
    const { code, output } = await setup(["--help"], {});
    expect(output).toContain("DATABASE_URL and ADMIN_TOKEN come from the environment");
    expect(code).toBe(0);
    expect(asked()).toEqual([]);
  });
});

/** A step by itself, and what it said. */
async function step(
  args: readonly string[],
  run: (options: ReturnType<typeof parseSetupOptions>, say: (words: string) => void) => unknown,
): Promise<string> {
  const said: string[] = [];
  await run(parseSetupOptions([...args]), (words) => said.push(words));
  return said.join("\n");
}

function prepare(args: readonly string[], url = postgres.url, loopback = "1"): Promise<string> {
  stub({ DATABASE_URL: url, WSPUBSUB_TEST_LOOPBACK: loopback });
  return step(args, prepareDatabase);
}

describe("the database", () => {
  test.each([
    ["postgres://u:hunter2@127.0.0.1/d", "127.0.0.1 is this machine, which a hub at Cloudflare"],
    ["postgres://u:hunter2@db.invalid/d", "db.invalid does not speak Neon's HTTP"],
    ["postgres://u:hunter2@db.invalid", "DATABASE_URL names no database: postgres://USER"],
    ["", "DATABASE_URL is missing: put the connection string of a database at Neon"],
  ])("is refused where the hub could not use it: %s", async (url, words) => {
    const error: unknown = await prepare([], url, "").catch((cause: unknown) => cause);
    expect(error).toMatchObject({ name: "UserError" });
    expect(String(error)).toContain(words);
    expect(String(error)).not.toContain("hunter2");
  });

  test("that is empty stays so, unless --yes says that it is meant", async () => {
    await emptyDatabase();
    await expect(prepare([])).rejects.toThrow("Apply schema.sql to it: --yes");
    expect(await prepare(["--dry-run", "--yes"])).toContain("schema.sql would be applied");
    expect(await hasTables()).toBe(false);
    expect(await prepare(["--yes"])).toContain("it has not the tables of schema.sql yet");
    expect(await hasTables()).toBe(true);
    expect(await prepare([])).toContain("127.0.0.1, from the environment");
  });

  test("that is older says what it lacks, and is brought up to date", async () => {
    await prepare(["--yes"]);
    await sql("alter table domains drop column max_topics");
    expect(await prepare(["--dry-run"])).toContain("they lack domains.max_topics");
    await prepare(["--yes"]);
    expect(await prepare([])).toContain("it has schema.sql, as new as this hub");
  });

  test("is known by all that schema.sql makes", async () => {
    await prepare(["--yes"]);
    const rows = await sql(`select table_name || '.' || column_name as name
      from information_schema.columns where table_schema = 'public'`);
    const known = Object.entries(COLUMNS).flatMap(([table, columns]) =>
      columns.map((column) => `${table}.${column}`),
    );
    expect(new Set(rows.map(({ name }) => name))).toEqual(new Set(known));
  });

  describe("the first key", () => {
    let database: HubDatabase;

    beforeEach(async () => {
      stub({ DATABASE_URL: postgres.url, WSPUBSUB_TEST_LOOPBACK: "1" });
      database = await prepareDatabase(parseSetupOptions(["--yes"]), () => {});
      await sql("truncate apikeys restart identity");
    });

    function make(args: readonly string[]): Promise<string> {
      return step(args, (options, say) => makeFirstKey(database, options, say));
    }

    test("is made where those of its domain open nothing any more, and no other is", async () => {
      await sql(`insert into apikeys (domain, apikey, active) values ('off', 'key-1', false)`);
      await expect(make([])).rejects.toThrow("There are no keys yet: --domain NAME says which");
      expect(await make(["--domain", "off", "--dry-run"])).toContain("would be made");
      expect(await make(["--domain", "off"])).toContain('made key 2 of "off"');
      expect(await make(["--domain", "off"])).toBe('"off" has keys: 1 that open');
      expect(await make([])).toBe("there are keys: 1 that open, of 1 domains");
      expect(await make(["--domain", "other"])).toContain('made key 3 of "other"');
      expect(await sql("select count(*)::int as count from apikeys")).toEqual([{ count: 3 }]);
    });

    test.each(["", "a\u0000b", "x".repeat(65), ".."])("has no domain named %j", async (domain) => {
      await expect(make(["--domain", domain])).rejects.toThrow("The domain's name will not do");
    });
  });
});
