/** `wspubsub doctor`: each fault is named with what to do about it, and no other step is blamed. */
import { execFile, spawnSync } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer, type RequestListener } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { createServer as createTcpServer, type Server } from "node:net";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, inject, onTestFinished, test } from "vitest";
import { databaseUrl, freshKey, sql } from "../../support/addresses.ts";
import { expectUsageError } from "../../support/cli.ts";
import { cliTopic, hubUrl, run, startCommand } from "../../support/cli-messages.ts";
import { ADMIN_TOKEN, startFakeHub, WELL } from "../../support/fake-hub.ts";
import { temporaryFolder } from "../../support/temporary-files.ts";

interface Check {
  readonly name: string;
  readonly status: string;
  readonly detail: string;
  readonly remedy: string | null;
}

const HAS_OPENSSL = spawnSync("openssl", ["version"]).status === 0;
const KEY = "geheim-0123456789-abcdefghij";
const HEALTH = { ...WELL, as_of: new Date().toISOString() };

/** Runs it, and reads its report. */
async function examine(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<{ code: number | null; checks: Check[]; shown: string }> {
  const limit = { WSPUBSUB_DOCTOR_LIMIT_MS: "3000" };
  const { code, stdout, stderr } = await run(["doctor", "--json", ...args], {
    env: { ...limit, ...env },
  });
  if (stdout === "") throw new Error(stderr);
  return { code, checks: JSON.parse(stdout).checks, shown: stdout + stderr };
}

function find(checks: readonly Check[], name: string): Check | undefined {
  return checks.find((check) => check.name === name);
}

/** The names of those that are wrong. */
function wrong(checks: readonly Check[]): string[] {
  return checks.filter(({ status }) => status === "wrong").map(({ name }) => name);
}

async function listen(server: Server): Promise<number> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => void server.close());
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("Expected a TCP address");
  return address.port;
}

/** A server of HTTP. */
async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  onTestFinished(() => server.closeAllConnections());
  return `http://127.0.0.1:${await listen(server)}`;
}

/** A token that nobody has signed. */
function tokenOf(claims: object): string {
  const parts = [{ alg: "HS256" }, claims].map((part) =>
    Buffer.from(JSON.stringify(part)).toString("base64url"),
  );
  return [...parts, "geheim"].join(".");
}

describe("a hub that is well", () => {
  test("seen with all that can be given", async () => {
    const { domain, topic, env } = await cliTopic({ publishers: "exclusive" });
    const publisher = startCommand(["pub", domain, topic, "--json"], env);
    publisher.write("m\n");
    await publisher.line(/cursor/);
    const token = inject("hub").adminToken ?? "";
    const args = ["--domain", domain, "--topic", topic];
    const { code, checks } = await examine(args, { ...env, ADMIN_TOKEN: token });
    expect(checks.map(({ name, status }) => `${name} ${status}`)).toEqual([
      "dns ok",
      "tcp ok",
      "hub ok",
      "database ok",
      "clock ok",
      "handshake ok",
      "topic ok",
      "key ok",
    ]);
    expect(code).toBe(0);
    expect(find(checks, "topic")?.detail).toContain("live, 1 publisher, no subscriber");
    expect(find(checks, "topic")?.detail).toContain("publisher-conflict");
  });

  test("seen with nothing, for people", async () => {
    const { code, stdout, stderr } = await run(["doctor", `${hubUrl()}/`]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toMatch(/^ok {7}dns {8}127\.0\.0\.1 is an address\n/);
    expect(stdout).toMatch(/^ok {7}hub {8}version \d/m);
    expect(stdout).toMatch(/^skipped {2}topic {6}none is named\n {20}give --domain and --topic$/m);
  });
});

describe("the way", () => {
  test("to a host that is not known", async () => {
    const { code, checks } = await examine(["https://hub.invalid"]);
    expect([code, wrong(checks), checks.length]).toEqual([1, ["dns"], 1]);
    expect(checks[0]?.detail).toMatch(/^hub\.invalid is not known/);
  });

  test("to a port where nothing listens", async () => {
    const { code, checks } = await examine(["http://127.0.0.1:2"]);
    expect([code, wrong(checks), checks.length]).toEqual([1, ["tcp"], 2]);
    expect(find(checks, "tcp")?.detail).toBe("nothing listens at port 2");
  });

  test("in the clear to another machine is refused, as anywhere", async () => {
    const refused = await run(["doctor", "http://hub.example.com"]);
    expectUsageError(refused, "The URL must begin with https:// unless its host is localhost");
  });

  test("by TLS to what speaks none", async () => {
    const { checks } = await examine([hubUrl().replace("http:", "https:")]);
    expect(wrong(checks)).toEqual(["tls"]);
    expect(find(checks, "tls")).toMatchObject({
      detail: "what listens there does not speak TLS",
      remedy: expect.stringContaining("http://"),
    });
  });

  test.runIf(HAS_OPENSSL)("by TLS, with certificates of several kinds", async () => {
    const folder = await temporaryFolder();
    const make = async (name: string, days: string, host: string): Promise<string> => {
      const [key, cert] = [join(folder, `${name}.key`), join(folder, `${name}.crt`)];
      const subject = ["-subj", `/CN=${host}`, "-addext", `subjectAltName=DNS:${host}`];
      const kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
      const args = [
        "req",
        "-x509",
        ...kind,
        "-keyout",
        key,
        "-out",
        cert,
        "-days",
        days,
        ...subject,
      ];
      await promisify(execFile)("openssl", args);
      const server = createTlsServer(
        { key: await readFile(key), cert: await readFile(cert) },
        (_, response) => response.end(JSON.stringify(HEALTH)),
      );
      onTestFinished(() => server.closeAllConnections());
      return `https://localhost:${await listen(server)}`;
    };
    const trusting = (name: string) => ({ NODE_EXTRA_CA_CERTS: join(folder, `${name}.crt`) });

    const good = await make("good", "100", "localhost");
    const seen = await examine([good], trusting("good"));
    expect(find(seen.checks, "tls")).toMatchObject({
      status: "ok",
      detail: expect.stringMatching(/^the certificate is good until \d{4}-\d\d-\d\d$/),
    });
    const stranger = await examine([good]);
    expect(wrong(stranger.checks)).toEqual(["tls"]);
    expect(find(stranger.checks, "tls")?.detail).toContain("nobody whom this machine trusts");
    expect(find(stranger.checks, "hub")).toBeUndefined();
    const other = await examine([await make("other", "100", "hub.example")], trusting("other"));
    expect(find(other.checks, "tls")?.detail).toBe("the certificate is another host's");
    const late = await examine([await make("late", "3", "localhost")], trusting("late"));
    expect(find(late.checks, "tls")).toMatchObject({ status: "wrong", remedy: "renew it" });
    const clear = await examine([good.replace("https:", "http:")]);
    expect(find(clear.checks, "hub")?.remedy).toContain("https://");
  });

  test("to what takes a connection and says nothing", async () => {
    const port = await listen(createTcpServer(() => {}));
    const { checks } = await examine([`http://127.0.0.1:${port}`], {
      WSPUBSUB_DOCTOR_LIMIT_MS: "300",
    });
    expect(find(checks, "hub")?.detail).toBe("no answer over HTTP (no answer within 0.3 seconds)");
    const secure = await examine([`https://127.0.0.1:${port}`], {
      WSPUBSUB_DOCTOR_LIMIT_MS: "300",
    });
    expect(find(secure.checks, "tls")?.detail).toContain("no answer within 0.3 seconds");
  });
});

describe("what answers", () => {
  test.each([
    [{ status: 404, body: "<h1>Not here</h1>" }, "it answers 404, and not as a hub does"],
    [{ status: 200, body: { status: "ok" } }, "it answers 200, and not as a hub does"],
    [
      { status: 301, body: "", headers: { Location: "https://hub.example/" } },
      "it redirects (301) to https://hub.example/",
    ],
  ])("is no hub: %j", async (answer, detail) => {
    const hub = await startFakeHub(answer);
    const { code, checks } = await examine([hub.url]);
    expect([code, wrong(checks)]).toEqual([1, ["hub"]]);
    expect(checks.at(-1)?.detail).toBe(detail);
  });

  test.each([
    [
      { configuration: "invalid", faults: ["DATABASE_URL is no URL"] },
      "hub",
      "DATABASE_URL is no URL",
    ],
    [
      { database: { status: "failed", reason: "timed out", schema: null } },
      "database",
      "timed out",
    ],
    [{ database: { status: "ok", schema: "missing" } }, "database", "not the tables of schema.sql"],
  ])("is a hub with a fault: %j", async (fault, name, detail) => {
    const hub = await startFakeHub({ status: 503, body: { ...HEALTH, ...fault } });
    const { checks } = await examine([], hub.env);
    expect(wrong(checks)[0]).toBe(name);
    expect(find(checks, name)?.detail).toContain(detail);
  });

  test("has another clock", async () => {
    for (const [seconds, status] of [
      [-40, "wrong"],
      [40, "wrong"],
      [20, "ok"],
    ] as const) {
      const date = new Date(Date.now() + seconds * 1000).toUTCString();
      const hub = await startFakeHub({ status: 200, body: HEALTH, headers: { Date: date } });
      const { checks } = await examine([hub.url]);
      const clock = find(checks, "clock");
      expect(clock?.status).toBe(status);
      expect(clock?.detail).toContain(seconds < 0 ? "ahead of the hub" : "behind the hub");
    }
  });

  test("has another admin token, which no other hub is shown", async () => {
    const { adminToken, url } = inject("hub");
    expect(adminToken).not.toBe(ADMIN_TOKEN);
    const env = { HUB_URL: url.replace(/^ws/, "http"), ADMIN_TOKEN, WSPUBSUB_KEY: KEY };
    const { checks } = await examine([], env);
    expect(wrong(checks)).toEqual(["admin"]);
    const other = await startFakeHub({ status: 200, body: HEALTH });
    const { shown } = await examine([other.url, "--domain", "d"], env);
    expect(other.seen.map(({ authorization }) => authorization)).toEqual([undefined, undefined]);
    expect(shown).not.toContain("geheim");
  });
});

describe("a WebSocket", () => {
  test.each([
    [
      426,
      { type: "urn:wspubsub:problem:upgrade-required", detail: "It is one" },
      "drops the header",
    ],
    [400, "Bad Request", "the answer is 400, and not the hub's"],
    [404, { type: "urn:wspubsub:problem:not-found", detail: "No such path" }, "No such path"],
    [503, { type: "urn:wspubsub:problem:topic-unavailable", detail: "Not now" }, "Not now"],
  ])("does not come through: %i", async (status, body, detail) => {
    const url = await serve((request, response) => {
      const isHealth = request.url === "/v1/health";
      response.writeHead(isHealth ? 200 : status);
      response.end(isHealth ? JSON.stringify(HEALTH) : JSON.stringify(body));
    });
    const { code, checks } = await examine([url]);
    expect([code, wrong(checks)]).toEqual([1, ["handshake"]]);
    expect(find(checks, "handshake")?.detail).toContain(detail);
  });

  test("is never answered", async () => {
    const url = await serve((request, response) => {
      if (request.url === "/v1/health") response.end(JSON.stringify(HEALTH));
    });
    const { checks } = await examine([url], { WSPUBSUB_DOCTOR_LIMIT_MS: "300" });
    expect(find(checks, "handshake")?.detail).toContain("no answer within 0.3 seconds");
  });
});

describe("a key", () => {
  test("that opens nothing: the database says why", async () => {
    const { domain, env } = await cliTopic();
    const { key, id } = await freshKey(domain);
    await sql("update apikeys set revoked_at = now() where id = $1", [id]);
    const tried = { ...env, WSPUBSUB_KEY: key };
    const without = await examine(["--domain", domain], tried);
    expect([without.code, wrong(without.checks)]).toEqual([1, ["key"]]);
    expect(find(without.checks, "key")?.detail).toContain("key-rejected: The key is unknown");
    const DATABASE_URL = databaseUrl();
    const { checks, shown } = await examine(["--domain", domain], { ...tried, DATABASE_URL });
    expect(find(checks, "key")?.detail).toContain(`of "${domain}" is revoked since `);
    expect(shown).not.toContain(key);
    const other = await cliTopic();
    const foreign = await examine(["--domain", domain], { ...other.env, DATABASE_URL });
    expect(find(foreign.checks, "key")?.detail).toContain(`of "${other.domain}"`);
    const unknown = await examine(["--domain", domain], {
      ...env,
      WSPUBSUB_KEY: KEY,
      DATABASE_URL,
    });
    expect(find(unknown.checks, "key")?.detail).toContain("the database has no such key");
  });

  test("that no header holds is not tried, and does not end the report", async () => {
    const env = { HUB_URL: hubUrl(), WSPUBSUB_KEY: "geheimä" };
    const { checks, shown } = await examine(["--domain", "d", "--topic", "t"], env);
    expect(checks.at(-1)).toMatchObject({ name: "key", status: "skipped" });
    expect(find(checks, "key")?.detail).toContain("cannot stand in a header (from WSPUBSUB_KEY)");
    expect(shown).not.toContain("geheim");
  });

  test("for no domain is not tried", async () => {
    const { env } = await cliTopic();
    const { code, checks } = await examine([], env);
    expect(code).toBe(0);
    expect(find(checks, "key")).toMatchObject({ status: "skipped", remedy: "give --domain" });
  });
});

describe("a token", () => {
  const exp = Math.floor(Date.now() / 1000) + 3600;

  test.each([
    [{ exp: 1_700_000_000, aud: "wspubsub:d%2Fx" }, "it has expired: "],
    [{ aud: "wspubsub:d%2Fx" }, "it has expired: "],
    [{ exp, aud: "wspubsub:e" }, "it is for another domain: "],
  ])("that is wrong by itself: %j", async (claims, detail) => {
    const env = { HUB_URL: hubUrl(), WSPUBSUB_TOKEN: tokenOf(claims) };
    const { code, checks, shown } = await examine(["--domain", "d/x"], env);
    expect([code, wrong(checks)]).toEqual([1, ["claims"]]);
    expect(find(checks, "claims")?.detail).toContain(detail);
    expect(shown).not.toContain("Z2VoZWlt");
  });

  test("that is none", async () => {
    const env = { HUB_URL: hubUrl(), WSPUBSUB_TOKEN: KEY };
    const { checks, shown } = await examine(["--domain", "d"], env);
    expect(find(checks, "claims")?.detail).toBe("it is no token (from WSPUBSUB_TOKEN)");
    expect(shown).not.toContain("geheim");
  });

  test("that opens one topic, and not another", async () => {
    const { domain, topic, env } = await cliTopic();
    const DATABASE_URL = databaseUrl();
    const operator = { HUB_URL: hubUrl(), DATABASE_URL };
    await run(["domains", "set", domain, "--token-secret", "new"], { env: operator });
    const minted = await run(["tokens", "mint", domain, "--topic", topic], { env: operator });
    const tried = { HUB_URL: env["HUB_URL"] ?? "", WSPUBSUB_TOKEN: minted.stdout.trim() };
    const good = await examine(["--domain", domain, "--topic", topic], tried);
    expect([good.code, find(good.checks, "token")?.status]).toEqual([0, "ok"]);
    expect(find(good.checks, "claims")?.detail).toContain(`aud "wspubsub:${domain}"`);
    const other = await examine(["--domain", domain, "--topic", "other"], tried);
    expect([other.code, wrong(other.checks)]).toEqual([1, ["token"]]);
    expect(find(other.checks, "token")?.detail).toContain("token-rejected: ");
  });
});

test("a topic that nobody publishes to is named", async () => {
  const { domain, topic, env } = await cliTopic({ publishers: "exclusive" });
  for (const seen of [env, { HUB_URL: hubUrl() }]) {
    const { code, checks } = await examine(["--domain", domain, "--topic", topic], seen);
    expect([code, wrong(checks)]).toEqual([1, ["topic"]]);
    expect(find(checks, "topic")).toMatchObject({
      detail: expect.stringContaining("topic-not-live"),
      remedy: expect.stringContaining("wspubsub pub"),
    });
  }
  const shared = await cliTopic();
  const waiting = await examine(["--domain", shared.domain, "--topic", "t"], shared.env);
  expect([waiting.code, wrong(waiting.checks)]).toEqual([0, []]);
  const secret = await cliTopic({ subscribers: "token" });
  const stranger = await examine(["--domain", secret.domain, "--topic", "t"], {
    HUB_URL: hubUrl(),
  });
  expect([stranger.code, find(stranger.checks, "topic")?.status]).toEqual([0, "skipped"]);
  expectUsageError(await run(["doctor", "--topic", "t"], { env }), "--topic goes with --domain");
});
