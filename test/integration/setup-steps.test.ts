/** The steps of `npm run setup` that need no database. */
import { A_HUB, asked, NO_HUB, stub, useAccount } from "../support/fake-account.ts";
import { mkdirSync, readdirSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { copyFile, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import { DEFAULT_CONFIG, readHubConfig } from "../../src/local/read-hub-config.ts";
import { findAccount } from "../../src/local/setup/account.ts";
import { askHealth } from "../../src/local/setup/ask-health.ts";
import { findDeployedUrl } from "../../src/local/setup/deployed-url.ts";
import {
  checkEnvironment,
  urlRecorders,
  writeEnvironment,
} from "../../src/local/setup/environment.ts";
import { planSecrets, type SecretsPlan } from "../../src/local/setup/plan-secrets.ts";
import { parseSetupOptions } from "../../src/local/setup/setup-options.ts";
import { ADMIN_TOKEN, authorized, startFakeHub, WELL } from "../support/fake-hub.ts";
import { startProgram } from "../support/process.ts";
import { fileWith, temporaryFolder } from "../support/temporary-files.ts";
import { HAS_TERMINAL, runAtTerminal } from "../support/terminal.ts";

const DATABASE_URL = "postgres://u:hunter2@ep-a.eu-central-1.aws.neon.tech/d";

useAccount();

let said: string[];
beforeEach(() => {
  said = [];
});
function say(words: string): void {
  said.push(words);
}

describe("options", () => {
  test.each([
    [["--unknown"], "Usage: npm run setup"],
    [["stray"], "Usage: npm run setup"],
    [["--database-url", "x"], "Usage: npm run setup"],
    [["--replace", "TOKEN"], "--replace takes DATABASE_URL or ADMIN_TOKEN"],
    [["--url", "http://hub.example.com"], "--url takes https://HOST"],
    [["--url", "hub.example.com"], "--url takes https://HOST"],
    [["--wait", "long"], "--wait takes a number of seconds"],
    [["--wait", "10000"], "--wait takes a number of seconds"],
    [["--env", "a b"], "--env takes a name"],
    [["--env", ""], "--env takes a name"],
  ])("that are wrong are named: %j", (args, words) => {
    expect(() => parseSetupOptions(args)).toThrow(words);
  });

  test("an address loses what is not its host's", () => {
    expect(parseSetupOptions(["--url", "https://hub.example.com/ws?x#y"]).url).toBe(
      "https://hub.example.com",
    );
    expect(parseSetupOptions(["--url", "http://[::1]:8787/"]).url).toBe("http://[::1]:8787");
  });
});

async function findTheAccount(accounts: string, env: Record<string, string> = {}): Promise<string> {
  stub({ ACCOUNTS: accounts, ...env });
  return findAccount(await readHubConfig(DEFAULT_CONFIG, undefined), true);
}

/** Runs one of the questions by itself, and types keys. */
function askAtTerminal(
  call: string,
  keys: string,
): Promise<{ readonly code: number | null; readonly screen: string }> {
  const script =
    'const { ask, askSecret, isYes } = await import("./src/local/ask.ts");' +
    "const { failWith } = await import('./src/local/fail.ts');" +
    `await ${call}.then((answer) => console.log(JSON.stringify({ answer })), failWith)`;
  const command = `node --input-type=module -e '${script.replaceAll("'", `'"'"'`)}'`;
  return runAtTerminal(command, {}, [["Well?", keys]]);
}

describe.runIf(HAS_TERMINAL)("questions", () => {
  test.each([
    ['ask("Well?")', "fine\r", '"fine"'],
    ['askSecret("Well?")', "fine\r", '"fine"'],
    ['isYes("Well?")', " Y \r", "true"],
    ['isYes("Well?")', "yes\r", "true"],
    ['isYes("Well?")', "yesterday\r", "false"],
    ['isYes("Well?")', "\r", "false"],
  ])("%s is answered %j", async (call, keys, answer) => {
    const { code, screen } = await askAtTerminal(call, keys);
    expect(screen).toContain(`{"answer":${answer}}`);
    expect(code).toBe(0);
    expect(screen.split("fine").length - 1).toBe(
      call.startsWith("askSecret") ? 1 : call.startsWith("ask(") ? 2 : 0,
    );
  });

  test.each(['ask("Well?")', 'askSecret("Well?")'])(
    "%s ends when the terminal is closed, or interrupted",
    async (call) => {
      const closed = await askAtTerminal(call, "\u0004");
      expect(closed.screen).toContain("Nobody answered");
      expect(closed.code).toBe(1);
      expect((await askAtTerminal(call, "\u0003")).code).toBe(130);
    },
  );
});

describe("the account", () => {
  test("is the only one, or the one that is chosen", async () => {
    expect(await findTheAccount('["Mine"]')).toBe("Mine");
    expect(await findTheAccount('["Mine","Theirs"]', { CLOUDFLARE_ACCOUNT_ID: "f00d" })).toBe(
      "f00d",
    );
  });

  test.each([
    ["null", {}, "--browser=false), or set CLOUDFLARE_API_TOKEN"],
    ["[]", {}, "The login at Cloudflare opens no account"],
    ['["Mine","Theirs"]', {}, "opens 2 accounts (Mine, Theirs): set CLOUDFLARE_ACCOUNT_ID"],
    ["null", { FAIL: "whoami" }, "Cannot tell who is logged in at Cloudflare: fetch failed"],
  ])("that is not clear is asked for: %s %j", async (accounts, env, words) => {
    await expect(findTheAccount(accounts, env)).rejects.toThrow(words);
    // Nobody is there who could log in.
    expect(asked().map(({ args: [command] }) => command)).toEqual(["whoami"]);
  });
});

describe("secrets", () => {
  function plan(
    args: readonly string[],
    env: Readonly<Record<string, string>>,
  ): Promise<SecretsPlan> {
    stub(env);
    return planSecrets(DATABASE_URL, ["--name", "other"], parseSetupOptions([...args]), say);
  }

  test("a new hub gets both", async () => {
    const secrets = { DATABASE_URL, ADMIN_TOKEN };
    expect(await plan([], { ...NO_HUB, ADMIN_TOKEN })).toEqual({
      secrets,
      adminToken: ADMIN_TOKEN,
    });
    expect(asked().map(({ args }) => args)).toEqual([
      ["secret", "list", "--format", "json", "--name", "other"],
    ]);
    expect(said.join()).not.toMatch(new RegExp(`hunter2|${ADMIN_TOKEN}`));
  });

  test.each([
    [[], {}],
    [["--replace", "DATABASE_URL"], { DATABASE_URL }],
    [["--replace", "ADMIN_TOKEN"], { ADMIN_TOKEN }],
    [["--replace", "DATABASE_URL", "--replace", "ADMIN_TOKEN"], { DATABASE_URL, ADMIN_TOKEN }],
  ])("a hub that has them keeps what is not replaced: %j", async (args, secrets) => {
    const adminToken = ADMIN_TOKEN;
    expect(await plan(args, { ...A_HUB, ADMIN_TOKEN })).toEqual({ secrets, adminToken });
  });

  test.each([
    ['["DATABASE_URL"]', { ADMIN_TOKEN }],
    ['["ADMIN_TOKEN"]', { DATABASE_URL }],
    ["[]", { DATABASE_URL, ADMIN_TOKEN }],
  ])("a hub that has %s gets the other", async (has, secrets) => {
    const { secrets: given } = await plan([], { ...A_HUB, SECRETS: has, ADMIN_TOKEN });
    expect(given).toEqual(secrets);
  });

  test("a token that the hub has and nobody here knows is neither made nor asked for", async () => {
    expect(await plan(["--make-token"], A_HUB)).toEqual({ secrets: {}, adminToken: null });
  });

  test.each([
    [NO_HUB, "ADMIN_TOKEN is missing: put one into the environment"],
    [{ ...NO_HUB, ADMIN_TOKEN: "short" }, "must have 32 characters"],
    [{ ...A_HUB, FAIL: "secret" }, "Cannot tell which secrets the hub has: fetch failed"],
  ])("are not guessed: %j", async (env, words) => {
    await expect(plan([], env)).rejects.toThrow(words);
  });

  test("a token that cannot be shown is not used", async () => {
    const program = startProgram(
      "bash",
      [
        "-c",
        `node --input-type=module -e '
        const { planSecrets } = await import("./src/local/setup/plan-secrets.ts");
        const { parseSetupOptions } = await import("./src/local/setup/setup-options.ts");
        process.stdout.on("error", () => {});
        const options = parseSetupOptions(["--make-token"]);
        await planSecrets("", [], options, () => {}).catch((error) => console.error(error.message));
      ' > /dev/full`,
      ],
      { ...NO_HUB, WSPUBSUB_WRANGLER: process.env["WSPUBSUB_WRANGLER"] ?? "" },
    );
    await program.exited;
    expect(program.output()).toBe(
      "ADMIN_TOKEN could not be shown, so it is not used. Nothing was deployed",
    );
  });
});

describe("the folder for secrets", () => {
  const SCRIPT = `
    const { exitOnSignals, privateFolder, withSecretsFile } =
      await import("./src/local/setup/secrets-file.ts");
    exitOnSignals();
    await withSecretsFile(privateFolder(), { A: "1" }, (file) => {
      console.log("File", file);
      return new Promise(() => setInterval(() => {}, 1000));
    });`;

  async function start(folder: string): Promise<{
    readonly file: string;
    readonly end: (signal: NodeJS.Signals) => Promise<unknown>;
  }> {
    const args = ["--input-type=module", "-e", SCRIPT];
    const program = startProgram("node", args, { TMPDIR: folder });
    const [, file = ""] = await program.line(/^File (.*)$/);
    return { file, end: (signal) => program.end(signal) };
  }

  test.each([
    ["SIGHUP", 129],
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ] as const)("is nobody else's, and is gone after %s", async (signal, code) => {
    const folder = await temporaryFolder();
    const { file, end } = await start(folder);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(statSync(join(file, "..")).mode & 0o777).toBe(0o700);
    expect(await end(signal)).toBe(code);
    expect(readdirSync(folder)).toEqual([]);
  });

  test("of a setup that was killed is removed by the next, once it is old", async () => {
    const folder = await temporaryFolder();
    const killed = await start(folder);
    await killed.end("SIGKILL");
    const other = join(folder, "another-program");
    mkdirSync(other);
    utimesSync(other, 0, 0);
    // Another setup may still be at work there.
    const next = await start(folder);
    await next.end("SIGTERM");
    expect(readdirSync(folder)).toHaveLength(2);
    const old = Date.now() / 1000 - 3601;
    utimesSync(join(killed.file, ".."), old, old);
    const last = await start(folder);
    await last.end("SIGTERM");
    expect(readdirSync(folder)).toEqual(["another-program"]);
  });
});

async function findUrl(...targets: string[]): Promise<string | null> {
  const lines = [{ type: "wrangler-session" }, { type: "deploy", targets }, { type: "other" }];
  return findDeployedUrl(await fileWith(lines.map((line) => JSON.stringify(line)).join("\n")));
}

describe("where the hub answers", () => {
  test.each([
    [["https://wspubsub.me.workers.dev"], "https://wspubsub.me.workers.dev"],
    [["schedule: * * * * *", "https://a.b"], "https://a.b"],
    [["https://a.workers.dev", "hub.example.com (custom domain)"], "https://hub.example.com"],
    [["hub.example.com (custom domain - zone id: 1)"], "https://hub.example.com"],
    [["example.com/* (zone name: example.com)"], null],
    [[], null],
  ])("is what wrangler says: %j", async (targets, url) => {
    expect(await findUrl(...targets)).toBe(url);
  });

  test("is not known where it wrote nothing", () => {
    expect(findDeployedUrl("/no/such/file")).toBeNull();
  });
});

describe("health", () => {
  test.each([
    [
      "another token",
      { status: 401, body: { type: "urn:wspubsub:problem:key-rejected", title: "x", status: 401 } },
      "The hub has another ADMIN_TOKEN than is set here",
    ],
    [
      "no tables",
      health({ database: { status: "failed", reason: "Postgres error 42P01", schema: "missing" } }),
      "--replace DATABASE_URL gives the hub this one",
    ],
    [
      "no database",
      health({ database: { status: "failed", reason: "Postgres error 28P01", schema: null } }),
      "The hub cannot use its database: Postgres error 28P01",
    ],
    [
      "a wrong setting",
      health({ configuration: "invalid", faults: ["HOME_REGION must be empty or one of wnam"] }),
      "The hub's configuration is wrong: HOME_REGION must be empty",
    ],
    ["no JSON", { status: 200, body: "<html>" }, "does not answer as a hub: it is no JSON"],
    ["another service", { status: 404, body: {} }, "does not answer as a hub: it says 404"],
  ])("says what is wrong: %s", async (_, answer, words) => {
    const { url, seen } = await startFakeHub(answer);
    await expect(askHealth(url, ADMIN_TOKEN, 0, say)).rejects.toThrow(words);
    expect(seen).toEqual([authorized("GET /v1/health")]);
  });

  test("a hub that is new is waited for", async () => {
    let count = 0;
    const { url, seen } = await startFakeHub(() => {
      count += 1;
      return Promise.resolve(count < 2 ? { status: 530, body: "" } : { status: 200, body: WELL });
    });
    await askHealth(url, ADMIN_TOKEN, 30, say);
    expect(said).toEqual(["version 0.1.0, configuration ok, database ok"]);
    expect(seen).toHaveLength(2);
  });

  test("without a token it is asked as by a stranger, who is told so", async () => {
    const database = { status: "unknown", seen_at: null };
    const { url, seen } = await startFakeHub({ status: 200, body: { ...WELL, database } });
    await askHealth(url, null, 0, say);
    expect(said.at(-1)).toContain("it asks its database for the operator only");
    expect(seen).toEqual([{ line: "GET /v1/health", authorization: undefined }]);
  });
});

describe("environments", () => {
  let file: string;

  beforeEach(async () => {
    file = join(await temporaryFolder(), "wrangler.toml");
    await copyFile("wrangler.toml", file);
  });

  async function append(toml: string): Promise<void> {
    writeFileSync(file, `${await readFile(file, "utf8")}\n${toml}`);
  }

  const WHOLE = `[env.staging]
[[env.staging.durable_objects.bindings]]
name = "TOPIC"
class_name = "Topic"
[[env.staging.durable_objects.bindings]]
name = "DOMAIN"
class_name = "Domain"
[[env.staging.ratelimits]]
name = "FAILED_CREDENTIALS"
namespace_id = "7"
simple = { limit = 1, period = 10 }
[[env.staging.ratelimits]]
name = "FUTILE_LOOKUPS"
namespace_id = "8"
simple = { limit = 1, period = 10 }
[[env.staging.ratelimits]]
name = "EMPTY_READS"
namespace_id = "9"
simple = { limit = 1, period = 10 }
[[env.staging.ratelimits]]
name = "REFUSED_POSTS"
namespace_id = "10"
simple = { limit = 1, period = 10 }
[env.staging.vars]
HOME_REGION = "weur"
JURISDICTION = ""
[env.staging.secrets]
required = ["DATABASE_URL", "ADMIN_TOKEN"]
`;

  test("that have all of the hub's are left alone", async () => {
    await append(WHOLE);
    expect(await checkEnvironment(file, "staging")).toEqual({ faults: [], toml: "" });
  });

  test.each([
    ["", "There is no [env.staging]"],
    [WHOLE.replace(/\[\[env\.staging\.durable[^]*?"Topic"\n/, ""), "lacks TOPIC"],
    [
      WHOLE.replace(/\[\[env\.staging\.ratelimits\]\]\nname = "FUT[^]*?\}\n/, ""),
      "lacks FUTILE_LOOKUPS",
    ],
    [WHOLE.replace(/\[env\.staging\.secrets\][^]*$/, ""), "lacks DATABASE_URL"],
    [WHOLE.replace(/\[env\.staging\.vars\][^]*?\n(?=\[)/, ""), "lacks HOME_REGION"],
  ])("that lack something get it: %#", async (toml, fault) => {
    await append(toml);
    const found = await checkEnvironment(file, "staging");
    expect(found.faults.join("\n")).toContain(fault);
    const before = await readFile(file, "utf8");
    await writeEnvironment(file, "staging", found);
    expect((await readFile(file, "utf8")).startsWith(before.trimEnd())).toBe(true);
    expect(await checkEnvironment(file, "staging")).toEqual({ faults: [], toml: "" });
  });

  test("that are new are a hub of their own, which records no keys", async () => {
    await append(WHOLE);
    await writeEnvironment(file, "other", await checkEnvironment(file, "other"));
    const [hub, staging, other] = await Promise.all(
      [undefined, "staging", "other"].map((env) => readHubConfig(file, env)),
    );
    const ids = [hub, staging, other].flatMap((config) =>
      config?.ratelimits.map(({ namespace_id }) => namespace_id),
    );
    expect(new Set(ids).size).toBe(12);
    expect(other?.name).toBe("wspubsub-other");
    expect(other?.ratelimits.map(({ simple }) => simple)).toEqual([
      { limit: 30, period: 60 },
      { limit: 30, period: 60 },
      { limit: 1200, period: 60 },
      { limit: 600, period: 60 },
    ]);
    expect(other?.secrets.required).toEqual(["DATABASE_URL", "ADMIN_TOKEN"]);
    expect(other?.observability).toEqual(hub?.observability);
    expect(other && urlRecorders(other)).toEqual([]);
  });

  test("have addresses of their own, which wrangler would let them inherit", async () => {
    const text = await readFile(file, "utf8");
    const route = 'routes = [{ pattern = "hub.example.com", custom_domain = true }]\n';
    await writeFile(file, text.replace(/^name = /m, `${route}name = `));
    await writeEnvironment(file, "other", await checkEnvironment(file, "other"));
    expect((await readHubConfig(file, "other")).routes).toEqual([]);
    await append(WHOLE);
    const { faults, toml } = await checkEnvironment(file, "staging");
    expect(faults).toEqual([expect.stringContaining("hub.example.com is the other hub's")]);
    expect(toml).toBe("");
  });

  test.each([
    [WHOLE.replace('"7"', '"1001"'), "FAILED_CREDENTIALS has namespace_id 1001, whose counter"],
    [
      WHOLE.replace("[env.staging]", '[env.staging]\nname = "wspubsub"'),
      "it would replace that hub",
    ],
    [
      WHOLE.replace('class_name = "Topic"', 'class_name = "Topic"\nscript_name = "wspubsub"'),
      "TOPIC has a script_name",
    ],
  ])("that share what they must not are not mended by adding: %#", async (toml, words) => {
    await append(toml);
    const found = await checkEnvironment(file, "staging");
    expect(found.faults).toHaveLength(1);
    expect(found.faults[0]).toContain(words);
    expect(found.toml).toBe("");
  });

  test.each([
    ["an inline table", '[env.staging]\nvars = { HOME_REGION = "" }\n'],
    ["another class", WHOLE.replace('class_name = "Domain"', 'class_name = "Topic"')],
  ])("a file that nothing can be added to stays as it was: %s", async (_, toml) => {
    await append(toml);
    const before = await readFile(file, "utf8");
    const found = await checkEnvironment(file, "staging");
    await expect(writeEnvironment(file, "staging", found)).rejects.toThrow("do so by hand");
    expect(await readFile(file, "utf8")).toBe(before);
  });

  describe("where URLs would be recorded", () => {
    test("wrangler.toml records none", async () => {
      expect(urlRecorders(await readHubConfig(DEFAULT_CONFIG, undefined))).toEqual([]);
    });

    test.each([
      ["enabled = true", ["logs.invocation_logs", "traces.enabled", "redact_query_string"]],
      ["enabled = false", []],
      [
        "enabled = true\nlogs = { invocation_logs = false }",
        ["traces.enabled", "redact_query_string"],
      ],
      ["enabled = true\nlogs = { enabled = false }", ["traces.enabled"]],
      ["traces = { enabled = true }", ["traces.enabled"]],
      [
        "enabled = true\nredact_query_string = true\ntraces = { enabled = false }",
        ["logs.invocation_logs"],
      ],
    ])("by %j", async (toml, names) => {
      await append(`${WHOLE}\n[env.staging.observability]\n${toml}\n`);
      const expected = names.map((name) => `observability.${name}`);
      expect(urlRecorders(await readHubConfig(file, "staging"))).toEqual(expected);
    });

    test("each by itself in wrangler.toml", async () => {
      const text = await readFile(file, "utf8");
      for (const [from, to, name] of [
        ["invocation_logs = false", "invocation_logs = true", "logs.invocation_logs"],
        ["enabled = false", "enabled = true", "traces.enabled"],
        ["redact_query_string = true", "redact_query_string = false", "redact_query_string"],
      ] as const) {
        expect(text.split(from)).toHaveLength(2);
        await writeFile(file, text.replace(from, to));
        expect(urlRecorders(await readHubConfig(file, undefined))).toEqual([
          `observability.${name}`,
        ]);
      }
    });
  });
});

/** What a hub that is not well answers. */
function health(changes: object): { status: number; body: object } {
  return { status: 503, body: { ...WELL, status: "degraded", ...changes } };
}
