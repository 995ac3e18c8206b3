/**
 * `npm run dev` on an ordinary PostgreSQL: the hub takes its keys from there, through its end and return, and the
 * password shows up nowhere.
 */
import { execFileSync } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { open, refused } from "../support/client.ts";
import { freePort } from "../support/free-port.ts";
import { untilFree } from "../support/hub-process.ts";
import { needs } from "../support/optional-program.ts";
import { useOrdinaryPostgres } from "../support/ordinary-postgres.ts";
import { startProgram, type Program } from "../support/process.ts";
import { temporaryFolder } from "../support/temporary-files.ts";

const KEY = "0f8fad5b-d9cb-469f-a165-70867728950e";
const OTHER_KEY = "7c9e6679-7425-40de-944b-e07fc1f90ae7";

describe("npm run dev on an ordinary Postgres", needs("postgresql"), () => {
  const postgres = useOrdinaryPostgres();

  beforeAll(async () => {
    await postgres.sql(await readFile("schema.sql", "utf8"));
    await postgres.sql(
      `insert into apikeys (domain, apikey, active) values ('bridged', '${KEY}', true), ('bridged', '${OTHER_KEY}', true)`,
    );
  });

  test("has its keys, tells the command line its URL, and outlives its end", async () => {
    const state = await temporaryFolder();
    const { port, program } = await dev(postgres.url(), state);
    const publisher = (key: string): string =>
      `ws://127.0.0.1:${port}/ws/pub/${key}/bridged/${key}`;
    await open(publisher(KEY));

    const running: unknown = JSON.parse(await readFile(join(state, "running.json"), "utf8"));
    expect(running).toMatchObject({ databaseUrl: postgres.url() });
    expect(program.output()).toContain(`\nPostgres  ${new URL(postgres.url()).host}\n`);
    const commands = execFileSync("ps", ["-eo", "args"], { encoding: "utf8" });
    for (const secret of ["p@ss/w:rd %", encodeURIComponent("p@ss/w:rd %"), "/bridged?"]) {
      expect(program.output()).not.toContain(secret);
      expect(commands).not.toContain(secret);
    }

    await postgres.kill();
    expect((await refused(publisher(OTHER_KEY))).status).toBe(503);
    await postgres.start();
    const opened = (): Promise<string> => open(publisher(OTHER_KEY)).then(() => "opened", String);
    await expect.poll(opened, { timeout: 20_000, interval: 500 }).toBe("opened");
  });

  test("that cannot be asked ends with a sentence and exit code 1, before the Worker starts", async () => {
    const url = postgres.url({ password: "n0t-it" });
    const program = startDev(url, await temporaryFolder(), await freePort());
    expect(await program.exited).toBe(1);
    expect(program.output()).toMatch(
      /^Cannot ask Postgres at 127\.0\.0\.1:\d+: password authentication failed[^\n]+DATABASE_URL$/,
    );
    expect(program.output()).not.toContain("n0t-it");
  });
});

function startDev(url: string, state: string, port: number): Program {
  const args = ["src/local/dev.ts", "--port", String(port), "--state", state];
  return startProgram("node", args, { DATABASE_URL: url });
}

async function dev(url: string, state: string): Promise<{ port: number; program: Program }> {
  const port = await freePort();
  const program = startDev(url, state, port);
  onTestFinished(async () => {
    await program.end("SIGTERM");
    await untilFree(port);
  });
  await program.line(/^Ready/);
  return { port, program };
}
