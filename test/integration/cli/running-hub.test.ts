/**
 * The command line beside the hub of `npm run dev`: it finds it, what it changes shows at once, and a hub
 * that is gone, or that is not the one meant, counts for nothing.
 */
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { expectFailure, runCli, type CliRun } from "../../support/cli.ts";
import { Client, connect, open } from "../../support/client.ts";
import { ADMIN_TOKEN, DEAD_HUB } from "../../support/fake-hub.ts";
import { freePort } from "../../support/free-port.ts";
import { startHub, type HubProcess } from "../../support/hub-process.ts";
import { makeKeyPair } from "../../support/key-pair.ts";
import { startProgram } from "../../support/process.ts";
import { fileWith, temporaryFolder } from "../../support/temporary-files.ts";

/** Nothing listens on port 2: a hub that needs no database starts faster without one. */
/** `npm run dev` starts with it, though nobody has that name: only the hub asks Neon. */
const NO_NEON = "postgres://postgres:postgres@nobody.neon.tech/postgres";
const NO_DATABASE = "postgres://postgres:postgres@127.0.0.1:2/postgres";

let hub: HubProcess;
beforeAll(async () => {
  hub = await startHub();
});
afterAll(() => hub.stop());

describe("with the running hub", () => {
  test("a new key publishes, its topic shows, and revoking the key closes it at once", async () => {
    const { id, key } = await json(["keys", "create", "do main"]);
    const pub = await publish(`${hub.url}/ws/pub/${String(key)}/do%20main/n%2Fews`);

    const status = await json(["topics", "show", "do main", "n/ews"]);
    expect(status).toMatchObject({ phase: "live", publishers: 1, subscribers: 0 });
    expect(await listed("do main")).toMatchObject([{ topic: "n/ews" }]);

    const revoked = await json(["keys", "revoke", String(id)]);
    expect(revoked).toMatchObject({ state: "revoked", closed: 1 });
    await pub.closed();
  });

  test("a topic forgets what was published, and its publisher stays", async () => {
    const { key } = await json(["keys", "create", "forgetful"]);
    const pub = await publish(`${hub.url}/ws/pub/${String(key)}/forgetful/n%2Fews`);
    const sub = await open(`${hub.url}/ws/sub/forgetful/n%2Fews?since=earliest`);
    expect(await sub.texts(1)).toEqual(["hello"]);
    const forgotten = await json(["topics", "forget", "forgetful", "n/ews"]);
    expect(forgotten).toEqual({ domain: "forgetful", topic: "n/ews", messages: 1 });
    pub.send("two");
    expect(await sub.texts(1)).toEqual(["two"]);
    const later = await open(`${hub.url}/ws/sub/forgetful/n%2Fews?since=earliest`);
    expect(await later.texts(1)).toEqual(["two"]);
  });

  test("a key that is switched off closes its publishers, one that was switched on opens", async () => {
    const { id, key } = await json(["keys", "create", "switched", "--inactive"]);
    const url = `${hub.url}/ws/pub/${String(key)}/switched/news`;
    await expect(open(url)).rejects.toThrow("Refused");
    expect(await json(["keys", "activate", String(id)])).toMatchObject({ closed: 0 });
    const pub = await publish(url);
    expect(await json(["keys", "deactivate", String(id)])).toMatchObject({ closed: 1 });
    await pub.closed();
  });

  test("a key that is rotated without overlap closes its publishers, and the new one opens", async () => {
    const { id, key } = await json(["keys", "create", "rotated"]);
    const old = await publish(`${hub.url}/ws/pub/${String(key)}/rotated/news`);
    const rotated = await json(["keys", "rotate", String(id), "--overlap", "0s"]);
    expect(rotated).toMatchObject({ closed: 1, replaced: { id, state: "expired" } });
    await old.closed();
    await (await open(`${hub.url}/ws/pub/${String(rotated["key"])}/rotated/other`)).close();
  });

  test.each(["HS256", "ES256", "EdDSA"] as const)("a token by %s opens its topics", async (alg) => {
    const domain = `to ken/${alg}`;
    const { key } = await json(["keys", "create", domain]);
    const mint = ["tokens", "mint", domain, "--topic", "users/7/*"];
    const set = ["domains", "set", domain, "--subscribers", "token", "--token-issuer", "us"];
    if (alg === "HS256") {
      await json([...set, "--token-secret", "new"]);
    } else {
      const pair = await makeKeyPair(alg, "kid");
      mint.push("--private-key", await fileWith(pair.private));
      await json([...set, "--token-keys", await fileWith({ keys: [pair.public] })]);
    }
    const headers = bearer((await json(mint))["token"]);
    for (const [topic, outcome] of Object.entries({ "users/7/a": "open", "users/8/a": 401 })) {
      const [rawDomain, rawTopic] = [encodeURIComponent(domain), encodeURIComponent(topic)];
      const pub = await publish(`${hub.url}/ws/pub/${String(key)}/${rawDomain}/${rawTopic}`);
      const sub = await connect(`${hub.url}/ws/sub/${rawDomain}/${rawTopic}`, [], headers);
      expect(sub instanceof Client ? "open" : sub.status).toBe(outcome);
      if (sub instanceof Client) await sub.close();
      await pub.close();
    }
  });

  test("a domain that becomes private is private at once: who is there, and who comes", async () => {
    const { key } = await json(["keys", "create", "pri vate"]);
    const pub = await publish(`${hub.url}/ws/pub/${String(key)}/pri%20vate/news`);
    const url = `${hub.url}/ws/sub/pri%20vate/news`;
    const [stranger, owner] = [await open(url), await open(url, [], bearer(key))];
    await listed("pri vate");
    const set = await json(["domains", "set", "pri vate", "--subscribers", "token"]);
    expect(set).toMatchObject({ told: 1, missed: 0, closed: 1 });
    expect(await stranger.closed()).toEqual({ code: 4501, reason: "token-required" });
    expect(await connect(url)).toMatchObject({ status: 401 });
    pub.send("for those who may");
    // "hello" may have been on its way when its reader came.
    let [text] = await owner.texts(1);
    if (text === "hello") [text] = await owner.texts(1);
    expect(text).toBe("for those who may");
    await Promise.all([owner.close(), pub.close()]);
  });

  test("a key is revoked by the hub where only the hub reaches Postgres", async () => {
    const { id, key } = await json(["keys", "create", "cut off"]);
    const pub = await publish(`${hub.url}/ws/pub/${String(key)}/cut%20off/news`);
    const revoke = ["keys", "revoke", String(id), "--domain", "cut off", "--json"];
    const run = await cli(revoke, { ...(await settings(hub)), DATABASE_URL: NO_DATABASE });
    expect(run.stderr).toContain("ECONNREFUSED");
    expect(JSON.parse(run.stdout)).toMatchObject({ state: "revoked", closed: 1, held: false });
    await pub.closed();
    expect(await json(["keys", "list", "cut off"])).toMatchObject({
      keys: [{ id, state: "revoked" }],
    });
  });

  test("and is held by the hub where nobody reaches Postgres", async () => {
    const lonely = await startHub({ env: { DATABASE_URL: NO_NEON } });
    onTestFinished(() => lonely.stop());
    const revoke = ["keys", "revoke", "7", "--domain", "cut off"];
    const run = await runCli(["--state", lonely.state, ...revoke]);
    expect(run.code).toBe(0);
    expect(run.stdout).toContain("The hub holds the revocation until Postgres has it.");
  });

  test("topics come by the page", async () => {
    const { key } = await json(["keys", "create", "paged"]);
    const url = `${hub.url}/ws/pub/${String(key)}/paged`;
    const pubs = [await open(`${url}/a`), await open(`${url}/b`)];
    while ((await listed("paged")).length < 2);
    const first = await json(["topics", "list", "paged", "--limit", "1"]);
    expect(first).toMatchObject({ topics: [{ topic: "a" }], next: "a" });
    const second = await json(["topics", "list", "paged", "--limit", "1", "--after", "a"]);
    expect(second).toMatchObject({ topics: [{ topic: "b" }], next: null });
    await Promise.all(pubs.map((pub) => pub.close()));
  });

  test("a wrong admin token is refused by the hub", async () => {
    const env = { HUB_URL: hub.url, DATABASE_URL: NO_DATABASE, ADMIN_TOKEN };
    const run = await runCli(["--state", hub.state, "topics", "list", "x"], { env });
    expectFailure(run, "The hub refused ADMIN_TOKEN (401): ");
    expect(run.stderr).not.toContain(ADMIN_TOKEN);
  });
});

describe("where the running hub is", () => {
  test("only its owner may read, and the output does not say the token", async () => {
    const file = join(hub.state, "running.json");
    const { adminToken } = JSON.parse(await readFile(file, "utf8")) as { adminToken: string };
    expect(adminToken).toMatch(/^[\w-]{43}$/);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect(hub.output()).not.toContain(adminToken);
  });

  test.each(["localhost", "127.0.0.1", "[::1]"])(
    "is known by HUB_URL as http://%s, which finds its token, and its database",
    async (host) => {
      const known = { HUB_URL: `http://${host}:${hub.port}/` };
      expect((await cli(["keys", "list", "test"], known)).code).toBe(0);
      expect((await cli(["topics", "list", "test"], known)).code).toBe(0);
      const other = { ...known, DATABASE_URL: NO_DATABASE };
      expect((await cli(["topics", "list", "test"], other)).code).toBe(0);
      expectFailure(await cli(["keys", "list", "test"], other), "ECONNREFUSED");
    },
  );

  test("is known by DATABASE_URL, however that is written", async () => {
    const running = await readFile(join(hub.state, "running.json"), "utf8");
    const { databaseUrl } = JSON.parse(running) as { databaseUrl: string };
    const { port } = new URL(databaseUrl);
    const url = `postgresql://postgres:%70ostgres@LOCALHOST:${port}/postgres?sslmode=disable`;
    expect((await cli(["topics", "list", "test"], { DATABASE_URL: url })).code).toBe(0);
    const other = url.replace("/postgres?", "/other?");
    expectFailure(await cli(["topics", "list", "test"], { DATABASE_URL: other }), "HUB_URL and");
  });

  test.each(["https://localhost", "http://localhost"])("is not %s on another port", async (url) => {
    const port = url.startsWith("https") ? hub.port : hub.port - 1;
    const run = await cli(["topics", "list", "test"], { HUB_URL: `${url}:${port}` });
    expectFailure(run, "ADMIN_TOKEN is not set");
  });

  test("is asked without the environment's proxy", async () => {
    const proxy = { HTTP_PROXY: "http://127.0.0.1:1", NODE_USE_ENV_PROXY: "1" };
    expect((await cli(["keys", "list", "test"], proxy)).code).toBe(0);
    expect((await cli(["topics", "list", "test"], proxy)).code).toBe(0);
  });

  test("is not mixed with settings that mean another", async () => {
    const elsewhere = { DATABASE_URL: NO_DATABASE };
    expectFailure(await cli(["topics", "list", "x"], elsewhere), "HUB_URL and ADMIN_TOKEN");
    expectFailure(await cli(["keys", "list"], DEAD_HUB), "DATABASE_URL is missing");
  });

  test("is forgotten when it ends, and counts for nothing when it was killed", async () => {
    const env = { DATABASE_URL: NO_NEON, ADMIN_TOKEN };
    const [state, port] = [await temporaryFolder(), await freePort()];
    const file = join(state, "running.json");
    const first = await startHub({ state, port, env });
    expect(JSON.parse(await readFile(file, "utf8"))).toMatchObject({
      hubUrl: first.url,
      databaseUrl: NO_NEON,
      adminToken: ADMIN_TOKEN,
    });
    await first.kill();
    const args = ["--state", state, "topics", "list", "x"];
    expectFailure(await runCli(args), "HUB_URL and ADMIN_TOKEN are not set");

    const second = startProgram(
      "node",
      ["src/local/dev.ts", "--port", String(port)].concat(["--state", state]),
      env,
    );
    onTestFinished(async () => void (await second.end("SIGKILL")));
    await second.line(/^Ready/);
    expect((await runCli(args)).code).toBe(0);
    await second.end("SIGTERM");
    await expect(stat(file)).rejects.toThrow("ENOENT");
  });

  test("is not written by a hub whose ADMIN_TOKEN is too short, which is not repeated", async () => {
    const env = { DATABASE_URL: NO_NEON, ADMIN_TOKEN: "geheim" };
    const port = String(await freePort());
    const program = startProgram("node", ["src/local/dev.ts", "--port", port], env);
    expect(await program.exited).toBe(1);
    expect(program.output()).toContain("ADMIN_TOKEN must have 32 characters");
    expect(program.output()).not.toContain("geheim");
  });
});

/** A publisher that has sent: workerd tells the others of their end some seconds late. */
async function publish(url: string): Promise<Client> {
  const client = await open(url);
  client.send("hello");
  return client;
}

/** Runs it beside the hub. */
function cli(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<CliRun> {
  return runCli(["--state", hub.state, ...args], { env });
}

async function json(args: readonly string[]): Promise<Record<string, unknown>> {
  const { code, stdout, stderr } = await cli([...args, "--json"]);
  if (code !== 0) throw new Error(`Ended with exit code ${code}: ${stderr}`);
  return JSON.parse(stdout) as Record<string, unknown>;
}

/** What makes a command use a hub that it does not find by itself. */
async function settings({ state, url }: HubProcess): Promise<Record<string, string>> {
  const running = JSON.parse(await readFile(join(state, "running.json"), "utf8")) as {
    adminToken: string;
  };
  return { HUB_URL: url, ADMIN_TOKEN: running.adminToken };
}

function bearer(key: unknown): Record<string, string> {
  return { Authorization: `Bearer ${String(key)}` };
}

/** A domain's topics, once there are any: a topic tells its domain after its publisher is in. */
async function listed(domain: string): Promise<unknown[]> {
  for (;;) {
    const { topics } = (await json(["topics", "list", domain])) as { topics: unknown[] };
    if (topics.length > 0) return topics;
  }
}
