/**
 * What `npm run dev` does around wrangler: what it tells it, how long it waits for it, what stands in the way of
 * starting it. Beside it the same of the other scripts.
 */
import { once } from "node:events";
import { copyFile, mkdir, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { bypassProxyForLoopback } from "../../src/local/bypass-proxy.ts";
import { describeLowLimit } from "../../src/local/open-files.ts";
import { untilAnswering } from "../../src/local/until-answering.ts";
import { devAlone, NO_DATABASE, seenByWrangler, startDevAlone } from "../support/dev-process.ts";
import { freePort } from "../support/free-port.ts";
import { startProgram } from "../support/process.ts";
import { temporaryFolder } from "../support/temporary-files.ts";

/** Nothing listens on port 1. */
const PROXY = { HTTP_PROXY: "http://127.0.0.1:1", NODE_USE_ENV_PROXY: "1" };

describe("wrangler", () => {
  test("is told what it must not record, serve or read, whatever the environment says", async () => {
    const env = {
      X_LOCAL_OBSERVABILITY: "true",
      X_LOCAL_EXPLORER: "true",
      WRANGLER_WRITE_LOGS: "true",
      CLOUDFLARE_ENV: "staging",
      CLOUDFLARE_LOAD_DEV_VARS_FROM_DOT_ENV: "false",
      OTHER: "as it is",
    };
    const seen = await seenByWrangler(
      (await devAlone({ state: await temporaryFolder(), env })).port,
    );
    expect(seen.env).toMatchObject({
      X_LOCAL_OBSERVABILITY: "false",
      X_LOCAL_EXPLORER: "false",
      WRANGLER_WRITE_LOGS: "false",
      CLOUDFLARE_LOAD_DEV_VARS_FROM_DOT_ENV: "true",
      DATABASE_URL: NO_DATABASE,
      OTHER: "as it is",
    });
    expect(seen.env).not.toHaveProperty("CLOUDFLARE_ENV");
    expect(seen.env["ADMIN_TOKEN"]).toMatch(/^[\w-]{43}$/);
  });

  test("and what waits for it do without the environment's proxy on this machine", async () => {
    const env = { ...PROXY, no_proxy: "office.example" };
    const { port } = await devAlone({ state: await temporaryFolder(), env });
    const seen = await seenByWrangler(port);
    for (const name of ["no_proxy", "NO_PROXY"]) {
      expect(seen.env[name]).toBe("office.example,localhost,127.0.0.1,[::1]");
    }
    expect(seen.env["HTTP_PROXY"]).toBe(PROXY.HTTP_PROXY);
  });

  test("reads no .env, which nothing else here reads", async () => {
    const env = { WSPUBSUB_DEV_VARS: "/nowhere/.dev.vars" };
    const seen = await seenByWrangler(
      (await devAlone({ state: await temporaryFolder(), env })).port,
    );
    expect(seen.args[seen.args.indexOf("--env-file") + 1]).toBe("/dev/null");
  });

  test("is given up when it does not answer in time, with what it had said", async () => {
    const env = { WSPUBSUB_FAKE: "silent", WSPUBSUB_START_LIMIT_MS: "3000" };
    const { port, program } = await startDevAlone({ state: await temporaryFolder(), env });
    expect(await program.exited).toBe(1);
    expect(program.output()).toBe(
      `Cannot start the Worker: no answer on port ${port} within 3 seconds\nHere is why`,
    );
  });
});

describe("waiting for an answer", () => {
  test("takes any, and asks again where one does not come", async () => {
    let asked = 0;
    const server = createServer((_, response) => {
      asked++;
      if (asked > 1) response.writeHead(500).end();
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
    onTestFinished(() => void server.close());
    const address = server.address();
    const port = typeof address === "object" ? (address?.port ?? 0) : 0;
    expect(await untilAnswering(port, AbortSignal.timeout(30_000))).toBe(true);
    expect(asked).toBe(2);
    server.closeAllConnections();
  });

  test("ends in time", async () => {
    expect(await untilAnswering(await freePort(), AbortSignal.timeout(100))).toBe(false);
  });

  test.each([
    [{}, "localhost,127.0.0.1,[::1]"],
    [{ NO_PROXY: "a, b" }, "a,b,localhost,127.0.0.1,[::1]"],
    [{ NO_PROXY: "a", no_proxy: "b" }, "b,localhost,127.0.0.1,[::1]"],
  ])("needs no proxy: %j", (environment: NodeJS.ProcessEnv, expected) => {
    bypassProxyForLoopback(environment);
    expect(environment).toEqual({ NO_PROXY: expected, no_proxy: expected });
  });

  test("needs no exception where all are", () => {
    const environment = { NO_PROXY: "*" };
    bypassProxyForLoopback(environment);
    expect(environment).toEqual({ NO_PROXY: "*" });
  });
});

describe("options that npm has kept", () => {
  test.each([
    [["dev", "--port", "9000"], 1, "npm run dev -- --port 9000"],
    [["dev", "--port=9000"], 1, "npm run dev -- --port 9000"],
    [["dev", "--fresh"], 1, "npm run dev -- --fresh"],
    [["dev", "--state", "folder"], 1, "npm run dev -- --state folder"],
    [["dev", "--port", "9000", "--fresh"], 1, "npm has kept --port and --fresh for itself"],
    [["deploy", "--dry-run"], 1, "npm run deploy -- --dry-run"],
    [["deploy", "--accept-loss"], 1, "npm run deploy -- --accept-loss"],
    [["cli", "keys", "list", "--json"], 2, "npm run cli -- …"],
    [["cli", "keys", "create", "x", "--overlap", "1h"], 2, "npm has kept --overlap for itself"],
    [["bench", "--kick-topics", "5"], 2, "npm run bench -- --kick-topics 5"],
    [["simulate", "--seed", "5"], 2, "npm run simulate -- --seed 5"],
  ])("%j are named, with what to write", async (args, code, words) => {
    const program = startProgram("npm", ["run", "-s", ...args]);
    expect(await program.exited).toBe(code);
    expect(program.output()).toContain(words);
    expect(program.output()).not.toMatch(/^ +at /m);
  });

  test("of another script are nobody's business", async () => {
    const env = { npm_lifecycle_event: "other", npm_config_port: "9000" };
    await devAlone({ state: await temporaryFolder(), env });
  });
});

describe("a low limit of open files", () => {
  test("is said once, in a line", async () => {
    const before = ["sh", "-c", 'ulimit -n 500; exec "$@"', "sh"];
    const { program } = await devAlone({ state: await temporaryFolder(), before });
    const lines = program.output().split("\n");
    expect(lines.filter((line) => line.includes("ulimit"))).toEqual([
      "A process may open 500 files here, which is enough for about 100 subscribers. " +
        "`ulimit -n 65536` before npm run dev raises it",
    ]);
  });

  test.each([
    [50, "about 0 subscribers"],
    [4096, "about 999 subscribers"],
    [4299, "about 1049 subscribers"],
  ])("of %d", (limit, words) => {
    expect(describeLowLimit(limit)).toContain(words);
  });

  test.each([4300, Infinity])("is not %d", (limit) => {
    expect(describeLowLimit(limit)).toBeNull();
  });

  test("keeps the benchmark from starting: it takes two a subscriber", async () => {
    const args = ["--quick", "--only", "storm"];
    // 400 sockets at once.
    const limited = (limit: number): string[] => [
      "-c",
      `ulimit -n ${limit}; exec node test/bench/main.ts --targets ws ${args.join(" ")}`,
    ];
    const tooFew = startProgram("sh", limited(999));
    expect(await tooFew.exited).toBe(1);
    expect(tooFew.output()).toBe(
      "bench: 400 subscribers need 1000 open files, the limit is 999 (ulimit -n)",
    );
    const enough = startProgram("sh", limited(1000));
    expect(await enough.exited).toBe(1);
    expect(enough.output()).toContain("There is nothing to measure");
  });
});

test("npm says nothing of tools that want another Node than its own", async () => {
  const folder = await temporaryFolder();
  await mkdir(join(folder, "tool"));
  const engines = { node: ">=99" };
  const tool = { name: "tool", version: "1.0.0", engines };
  await writeFile(join(folder, "tool/package.json"), JSON.stringify(tool));
  await writeFile(join(folder, "package.json"), '{"dependencies":{"tool":"file:./tool"}}');
  const install = ["install", "--offline", "--prefix", folder];
  const loud = startProgram("npm", install);
  expect(await loud.exited).toBe(0);
  expect(loud.output()).toContain("EBADENGINE");
  await copyFile(join(import.meta.dirname, "../../.npmrc"), join(folder, ".npmrc"));
  await rm(join(folder, "node_modules"), { recursive: true });
  const quiet = startProgram("npm", install);
  expect(await quiet.exited).toBe(0);
  expect(quiet.output()).not.toContain("EBADENGINE");
});
