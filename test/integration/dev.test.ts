/**
 * `npm run dev` as people use it: what it prints, what it refuses, that no key shows up in its output,
 * and that nothing of it stays behind, however it ends.
 */
import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { listProcessTree } from "../bench/processes/process-tree.ts";
import { open, refused } from "../support/client.ts";
import { freePort } from "../support/free-port.ts";
import { untilFree } from "../support/hub-process.ts";
import { startPostgres } from "../support/local-postgres.ts";
import { startProgram, type Program } from "../support/process.ts";

const KEY = "f47ac10b-58cc-4372-a567-0e02b2c3d479";
const SHARED_KEY = "7c9e6679-7425-40de-944b-e07fc1f90ae7";

/** A host that is not there: a hub that needs no database starts faster without one. */
const NO_DATABASE = "postgres://postgres:geheim@nobody.neon.tech/postgres";

/** How long it may take to end. */
const STOP_LIMIT_MS = 5000;

const cleanups: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

describe("npm run dev prints", () => {
  test("what to copy, in order, and all of it works", async () => {
    const { port, program } = await dev({ command: "npm" });
    const lines = program.output().split("\n");
    const at = lines.findIndex((line) => line.startsWith("Publisher"));
    const publisher = `ws://localhost:${port}/ws/pub/${KEY}/test/hello`;
    const subscriber = `ws://localhost:${port}/ws/sub/test/hello`;
    const messages = `http://localhost:${port}/v1/domains/shared/topics/hello/messages`;
    const curl = `curl -H 'Authorization: Bearer ${SHARED_KEY}' -d hello ${messages}`;
    expect(lines.slice(at)).toEqual([
      `Publisher   ${publisher}`,
      `Subscriber  ${subscriber}`,
      "",
      "Try it, the publisher first:",
      `  npx wscat -c ${publisher}`,
      `  npx wscat -c ${subscriber}`,
      "Or publish by plain HTTP, where many may:",
      `  ${curl}`,
      "",
      expect.stringMatching(
        /^Postgres {2}postgres:\/\/postgres:postgres@127\.0\.0\.1:\d+\/postgres$/,
      ),
      expect.stringMatching(/^Ready/),
    ]);

    const pub = await open(publisher);
    const wscat = startProgram("npx", ["wscat", "-c", subscriber]);
    cleanups.push(() => wscat.end("SIGKILL"));
    // Said again until the subscriber is there: nothing tells when it is.
    const again = setInterval(() => pub.send("hello"), 50);
    cleanups.push(() => Promise.resolve(clearInterval(again)));
    await wscat.line(/hello/);
    await pub.close();

    const posted = startProgram("sh", ["-c", `${curl} -sS`]);
    await posted.line(/^\{"cursor":"\w+-1","count":1,"subscribers":0\}$/);
  });

  test("no key but in those lines, whatever is asked of it", async () => {
    const { port, program } = await dev();
    const before = program.output();
    const url = `http://127.0.0.1:${port}`;
    await (await open(`${url}/ws/pub/${KEY}/test/silent`)).close();
    await refused(`${url}/ws/pub/wrong-key/test/silent`);
    await fetch(`${url}/ws/pub/${KEY}/test/x`);
    await fetch(`${url}/nothing/${KEY}`);
    await program.end("SIGINT");
    expect(program.output()).toBe(before);
  });

  test("the Worker's log as it is, and no password", async () => {
    const { port, program } = await dev({ env: { DATABASE_URL: NO_DATABASE } });
    expect((await refused(`ws://127.0.0.1:${port}/ws/pub/${KEY}/test/x`)).status).toBe(503);
    const [line] = await program.line(/^\{.*key-store-unavailable.*\}$/);
    expect(JSON.parse(line)).toMatchObject({ level: "error", event: "key-store-unavailable" });
    expect(program.output()).not.toContain(KEY);
    expect(program.output()).not.toContain("geheim");
    expect(program.output()).toContain("/ws/pub/YOUR-KEY/YOUR-DOMAIN/");
  });

  test("help", async () => {
    const program = startDev(["--help"]);
    expect(await program.exited).toBe(0);
    for (const option of ["--port", "--fresh", "--state", "DATABASE_URL"]) {
      expect(program.output()).toContain(option);
    }
  });
});

describe("npm run dev uses", () => {
  test("DATABASE_URL of .dev.vars before that of the environment", async () => {
    const postgres = await startPostgres();
    cleanups.push(() => postgres.stop());
    const vars = join(await folder(), "vars");
    // A password with what shells and dotenv files would take for a variable.
    const url = postgres.url.replace(":postgres@", ":pa$HOME@");
    await writeFile(vars, `DATABASE_URL="${url}"\n`);
    const { port } = await dev({ env: { DATABASE_URL: NO_DATABASE, WSPUBSUB_DEV_VARS: vars } });
    await open(`ws://127.0.0.1:${port}/ws/pub/${KEY}/test/x`);
  });

  test("DATABASE_URL of the environment, though .dev.vars has other things", async () => {
    const postgres = await startPostgres();
    cleanups.push(() => postgres.stop());
    const vars = join(await folder(), "vars");
    await writeFile(vars, "OTHER=1\n");
    const { port } = await dev({ env: { DATABASE_URL: postgres.url, WSPUBSUB_DEV_VARS: vars } });
    await open(`ws://127.0.0.1:${port}/ws/pub/${KEY}/test/x`);
  });

  test("the same database again, and an empty one with --fresh", async () => {
    const state = await folder();
    const owners = "select count(*)::int as n from apikeys";
    const first = await dev({ state });
    expect(
      await query(first.program, "insert into apikeys (domain, apikey) values ('a', 'b')"),
    ).toEqual([]);
    await first.program.end("SIGTERM");
    const second = await dev({ state });
    expect(await query(second.program, owners)).toEqual([["3"]]);
    await second.program.end("SIGTERM");
    const third = await dev({ state, args: ["--fresh"] });
    expect(await query(third.program, owners)).toEqual([["2"]]);
    // --fresh knows no other.
    expect(await readdir(join(state, "hub"))).toEqual(["v3"]);
  });
});

describe("npm run dev refuses", () => {
  test.each([
    [["--port", "http"], '"http" is not a port'],
    [["--port", "65536"], '"65536" is not a port'],
    [["--port", "0"], "from 1 to 65535"],
    [["--prot", "1"], "--prot"],
    [["surplus"], "surplus"],
  ])("%j", async (args, message) => {
    expectSentence(await ended(startDev(args)), message);
  });

  test.each(["geheim", "https://u:geheim@h/d", "postgres://:geheim@h/d", "postgres://u:geheim@h"])(
    "DATABASE_URL=%s, without repeating it",
    async (url) => {
      const { code, output } = await ended(startDev([], { DATABASE_URL: url }));
      expectSentence({ code, output }, "DATABASE_URL");
      expect(output).not.toContain("geheim");
    },
  );

  test("a port that is in use", async () => {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    cleanups.push(() => once(server.close(), "close"));
    const address = server.address();
    const port = typeof address === "object" ? address?.port : undefined;
    const outcome = await ended(startDev(["--port", String(port)]));
    expectSentence(outcome, `Port ${port} is in use`);
  });
});

describe("npm run dev leaves nothing behind", () => {
  test.each(["SIGINT", "SIGTERM"] as const)("on %s, with exit code 0", async (signal) => {
    const { port, program } = await dev();
    const postgresPort = postgresPortOf(program);
    const start = performance.now();
    expect(await program.end(signal)).toBe(0);
    await Promise.all([untilFree(port), untilFree(postgresPort)]);
    expect(performance.now() - start).toBeLessThan(STOP_LIMIT_MS);
  });

  test("on SIGTERM to npm", async () => {
    const { port, program } = await dev({ command: "npm" });
    const start = performance.now();
    await program.end("SIGTERM");
    await Promise.all([untilFree(port), untilFree(postgresPortOf(program))]);
    expect(performance.now() - start).toBeLessThan(STOP_LIMIT_MS);
  });

  test("when it is killed", async () => {
    const { port, program } = await dev();
    const start = performance.now();
    await program.end("SIGKILL");
    await Promise.all([untilFree(port), untilFree(postgresPortOf(program))]);
    expect(performance.now() - start).toBeLessThan(STOP_LIMIT_MS);
  });

  test("when its Postgres dies: it says so and ends with exit code 1", async () => {
    const { port, program } = await dev();
    process.kill(await postgresOf(program), "SIGKILL");
    expect(await program.exited).toBe(1);
    expect(program.output()).toContain("Postgres has ended by itself");
    await untilFree(port);
  });
});

interface DevOptions {
  command?: "node" | "npm";
  args?: string[];
  state?: string;
  env?: Readonly<Record<string, string>>;
}

/** Starts it on a port of its own and waits until it is ready; it is killed after the test. */
async function dev(options: DevOptions = {}): Promise<{ port: number; program: Program }> {
  const port = await freePort();
  const state = options.state ?? (await folder());
  const args = ["--port", String(port), "--state", state, ...(options.args ?? [])];
  const program =
    options.command === "npm"
      ? startProgram("npm", ["run", "dev", "--", ...args], options.env)
      : startDev(args, options.env);
  cleanups.push(async () => {
    await program.end("SIGTERM");
    await untilFree(port);
  });
  await program.line(/^Ready/);
  return { port, program };
}

function startDev(args: string[], env?: Readonly<Record<string, string>>): Program {
  return startProgram("node", ["src/local/dev.ts", ...args], env);
}

async function folder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "wspubsub-dev-"));
  cleanups.push(() => rm(path, { recursive: true, force: true }));
  return path;
}

async function ended(program: Program): Promise<{ code: unknown; output: string }> {
  const code = await program.exited;
  return { code, output: program.output() };
}

/** Exit code 1, and a text for people: no stack. */
function expectSentence({ code, output }: { code: unknown; output: string }, part: string): void {
  expect(code).toBe(1);
  expect(output).toContain(part);
  expect(output).not.toMatch(/^ +at /m);
}

function postgresPortOf(program: Program): number {
  return Number(new URL(endpointOf(program)).port);
}

/** The process that was started as its Postgres. */
async function postgresOf(program: Program): Promise<number> {
  for (const pid of listProcessTree(program.pid)) {
    if ((await readFile(`/proc/${pid}/cmdline`, "utf8")).includes("postgres.ts")) return pid;
  }
  throw new Error("There is no Postgres");
}

function endpointOf(program: Program): string {
  const { host } = new URL(/^Postgres\s+(\S+)$/m.exec(program.output())?.[1] ?? "");
  return `http://${host}/sql`;
}

/** Runs SQL where the hub keeps its keys; rows as arrays of text. */
async function query(program: Program, text: string): Promise<unknown> {
  const response = await fetch(endpointOf(program), {
    method: "POST",
    headers: { "Neon-Connection-String": "postgres://postgres:postgres@localhost/postgres" },
    body: JSON.stringify({ query: text }),
  });
  const { rows } = (await response.json()) as { rows: unknown };
  return rows;
}
