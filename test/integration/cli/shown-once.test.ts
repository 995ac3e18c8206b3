/**
 * Keys and secrets are shown once: whatever keeps one from being seen, the command says that it was made, or may have
 * been, and what to do.
 */
import { existsSync } from "node:fs";
import { describe, expect, test } from "vitest";
import {
  SECRET_FORM,
  cli,
  expectFailure,
  newDomain,
  sql,
  start,
  usePostgres,
} from "../../support/cli.ts";
import { startFakeHub, type FakeBehaviour } from "../../support/fake-hub.ts";
import { startNeonPostgres } from "../../support/fake-postgres.ts";

usePostgres();

/** Where nothing can be written to any more. */
const HAS_FULL_DEVICE = existsSync("/dev/full");

/** Each command that shows something once, with what it says of it; `DOMAIN` and `ID` are those of the test. */
const COMMANDS: [args: string, unseen: string, doubt: string][] = [
  [
    "keys create DOMAIN",
    "key NEW was made and could not be shown: revoke it with keys revoke NEW",
    "may have been made, which nobody has seen: keys list DOMAIN says so",
  ],
  [
    "keys rotate ID",
    "key NEW was made and could not be shown: revoke it with keys revoke NEW. The old key ID ends",
    "may have been made in place of key ID, which nobody has seen: keys list says so",
  ],
  [
    "domains set DOMAIN --token-secret new",
    "the new token secret was set and could not be shown: set another with domains set --token-secret new DOMAIN",
    "a new token secret may have been set, which nobody has seen: set another with",
  ],
  [
    "domains rotate-secret DOMAIN",
    "the new token secret was stored and could not be shown: set the old one again with domains set --token-secret - DOMAIN, then",
    "the token secret may have been replaced by one that nobody has seen: set the old one again",
  ],
];

describe("what is shown once", () => {
  test.each(COMMANDS)("%s says what nobody has seen", async (command, unseen) => {
    const { domain, id, args } = await prepare(command);
    const run = await cli(args, { stdout: "closed" });
    const made = await newestKey(domain);
    const expected = fill(unseen, domain, id).replaceAll("NEW", String(made));
    expectFailure(run, `Cannot write to stdout (EPIPE):\n${expected}`);
    expect(run.stderr).not.toContain("never again");
  });

  test.each(COMMANDS)(
    "%s without an answer of Postgres's says what may be",
    async (command, _, doubt) => {
      const [domain, id] = ["example", 7];
      const env = await failingPostgres("hangs up");
      const run = await cli(fill(command, domain, id).split(" "), { env });
      expectFailure(run, fill(doubt, domain, id));
      expect(run.stderr).toMatch(/^Cannot ask Postgres at [^\n]+:\n/);
    },
  );

  test("nothing is said of what was not made: Postgres refused, or was not there", async () => {
    const refusal = { status: 400, body: { message: "permission denied", code: "42501" } };
    for (const [env, part] of [
      [await failingPostgres(refusal), "permission denied"],
      [{ DATABASE_URL: "postgres://u:p@127.0.0.1:2/d" }, "ECONNREFUSED"],
    ] as const) {
      const run = await cli(["keys", "create", "x"], { env });
      expectFailure(run, part);
      expect(run.stderr).not.toContain("nobody has seen");
    }
  });

  test("a row that cannot be read is no word that nothing was made", async () => {
    const row = { fields: [], rows: [], rowCount: 0, command: "INSERT" };
    const env = await failingPostgres({ status: 200, body: row });
    const run = await cli(["keys", "create", "x"], { env });
    expect(run).toMatchObject({ code: 1, stdout: "" });
    expect(run.stderr).toContain("may have been made, which nobody has seen");
  });

  test("a token that was not shown is none to see to", async () => {
    const { args } = await prepare("tokens mint DOMAIN --topic a");
    const run = await cli(args, { stdout: "closed" });
    expectFailure(run, "Cannot write to stdout (EPIPE): the token was not shown, mint another");
  });

  test.runIf(HAS_FULL_DEVICE)("a full disk is told as well, as JSON too", async () => {
    const run = await cli(["keys", "create", newDomain(), "--json"], { stdout: "full" });
    expectFailure(run, "Cannot write to stdout (ENOSPC):\nkey ");
  });

  test("a stderr that takes nothing keeps nobody from seeing the key, and hides no failure", async () => {
    const args = ["keys", "create", newDomain()];
    const seen = await cli(args, { stderr: "closed" });
    expect(seen.code).toBe(0);
    expect(seen.stdout.trimEnd()).toMatch(SECRET_FORM);
    expect((await cli(args, { stdout: "closed", stderr: "closed" })).code).toBe(1);
  });

  test.runIf(HAS_FULL_DEVICE)("nor does one on a full disk", async () => {
    expect((await cli(["keys", "create", newDomain()], { stderr: "full" })).code).toBe(0);
  });

  test("a signal between making and showing is answered with what was made", async () => {
    const { domain, args } = await prepare("keys rotate ID");
    const asked = Promise.withResolvers<void>();
    const hub = await startFakeHub(() => {
      asked.resolve();
      return new Promise(() => {});
    });
    const run = start(args, hub);
    await asked.promise;
    run.kill("SIGINT");
    const { code, stdout, stderr } = await run.ended;
    expect({ code, stdout }).toEqual({ code: null, stdout: "" });
    expect(stderr).toContain(
      `SIGINT: key ${String(await newestKey(domain))} was made and could not be shown`,
    );
  });

  test.each(["SIGINT", "SIGTERM", "SIGHUP"] as const)(
    "%s before Postgres has answered says what may be",
    async (signal) => {
      const asked = Promise.withResolvers<void>();
      const env = await failingPostgres(() => {
        asked.resolve();
        return new Promise(() => {});
      });
      const run = start(["keys", "create", "x"], { env });
      await asked.promise;
      run.kill(signal);
      const { code, stdout, stderr } = await run.ended;
      expect({ code, stdout }).toEqual({ code: null, stdout: "" });
      expect(stderr).toMatch(new RegExp(`^${signal}: a key "[\\w-]{4}…" may have been made`));
    },
  );
});

/** A domain with a key and a secret, and the command for it. */
async function prepare(
  command: string,
): Promise<{ readonly domain: string; readonly id: unknown; readonly args: string[] }> {
  const domain = newDomain();
  const key = "insert into apikeys (domain, apikey, active) values ($1, $1, true) returning id";
  const [row] = await sql(key, [domain]);
  const id = row?.["id"];
  await sql("insert into domains (domain, token_secret) values ($1, repeat('s', 32))", [domain]);
  return { domain, id, args: fill(command, domain, id).split(" ") };
}

/** The environment with one that treats every statement alike. */
async function failingPostgres(
  behaviour: FakeBehaviour,
): Promise<Readonly<Record<string, string>>> {
  return (await startNeonPostgres(behaviour)).env;
}

function fill(text: string, domain: string, id: unknown): string {
  return text.replaceAll("DOMAIN", domain).replaceAll("ID", String(id));
}

async function newestKey(domain: string): Promise<unknown> {
  const [row] = await sql("select max(id) as id from apikeys where domain = $1", [domain]);
  return row?.["id"];
}
