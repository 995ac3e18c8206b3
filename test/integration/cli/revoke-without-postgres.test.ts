/**
 * `wspubsub keys revoke` where Postgres does not answer: the hub does it, if it is known whose key it is, and
 * nothing is claimed that nobody said.
 */
import { describe, expect, test } from "vitest";
import {
  cli,
  expectFailure,
  expectUsageError,
  json,
  newDomain,
  sql,
  usePostgres,
  type CliRun,
} from "../../support/cli.ts";
import {
  DEAD_HUB,
  authorized,
  startFakeHub,
  type FakeAnswer,
  type FakeBehaviour,
} from "../../support/fake-hub.ts";
import {
  startNeonPostgres,
  startWirePostgres,
  type WireBehaviour,
} from "../../support/fake-postgres.ts";

usePostgres();

const DEAD_POSTGRES = "postgres://u:geheim@127.0.0.1:2/d";
const REFUSED = "no connection: ECONNREFUSED: does Postgres run there, and listen on that port?";
const REVOKE = ["keys", "revoke", "7", "--domain", "do main"];
const COUNTS = { closed: 2, told: 1, missed: 0 };
const HELD = answer(202, { state: "revoked", ...COUNTS, held: true });
const REVOKED = answer(200, { state: "revoked", ...COUNTS, held: false });

describe("keys revoke --domain without Postgres", () => {
  test("has the hub hold the revocation", async () => {
    const hub = await startFakeHub(HELD);
    const run = await revoke(hub.env);
    expect(run).toMatchObject({
      code: 0,
      stdout:
        'Revoked: key 7 of "do main" opens nothing any more. 2 sockets were closed. ' +
        "The hub holds the revocation until Postgres has it.\n",
    });
    expect(run.stderr).toBe(
      `Cannot ask Postgres at 127.0.0.1:2: ${REFUSED}.\nThe hub was asked instead.\n`,
    );
    expect(hub.seen).toEqual([authorized("DELETE /v1/domains/do%20main/keys/7")]);
    const asJson = await revoke(hub.env, ["--json"]);
    expect(JSON.parse(asJson.stdout)).toEqual({
      id: 7,
      domain: "do main",
      state: "revoked",
      closed: 2,
      told: 1,
      missed: 0,
      held: true,
    });
  });

  test("says nothing of holding where the hub could reach Postgres", async () => {
    const hub = await startFakeHub(REVOKED);
    const run = await revoke(hub.env);
    expect(run.stdout).toBe(
      'Revoked: key 7 of "do main" opens nothing any more. 2 sockets were closed.\n',
    );
    const asJson = await revoke(hub.env, ["--json"]);
    expect(JSON.parse(asJson.stdout)).toMatchObject({ ...COUNTS, held: false });
  });

  test("says who was missed, and takes the word of a hub of the version before", async () => {
    const missed = await startFakeHub(answer(202, { ...HELD.body, missed: 3 }));
    expect((await revoke(missed.env)).stdout).toContain(
      "3 topics could not be reached yet: the hub goes on telling them. The hub holds",
    );
    const older = await startFakeHub(answer(200, { state: "revoked", closed: 1 }));
    const run = await revoke(older.env, ["--json"]);
    expect(run.code).toBe(0);
    expect(JSON.parse(run.stdout)).toMatchObject({
      closed: 1,
      told: null,
      missed: null,
      held: false,
    });
  });

  test.each<[string, FakeBehaviour]>([
    ["hangs up", "hangs up"],
    ["is a proxy that fails", { status: 503, body: "<html>" }],
    ["is another page", { status: 200, body: "<html>" }],
    ["is something else", { status: 200, body: {} }],
    ["is shut down", { status: 400, body: { message: "shutting down", code: "57P01" } }],
    ["is full", { status: 400, body: { message: "too many connections", code: "53300" } }],
    ["cannot be woken", { status: 400, body: { message: "cannot wake", code: null } }],
  ])("asks the hub where what should be Neon's %s", async (_, behaviour) => {
    const hub = await startFakeHub(HELD);
    const { env } = await startNeonPostgres(behaviour);
    const run = await revoke({ ...hub.env, ...env });
    expect(run.code).toBe(0);
    expect(run.stderr).toMatch(
      /^Cannot ask Postgres at ep-fake\.neon\.tech: [^\n]+\.\nThe hub was asked/,
    );
    expect(hub.seen).toHaveLength(1);
  });

  test.each<[string, WireBehaviour, string]>([
    ["hangs up", "hangs up", "the connection broke off"],
    ["hangs up on a statement", "hangs up on a statement", "the connection broke off"],
    [
      "speaks HTTP",
      { answers: "HTTP/1.1 400 Bad Request\r\n\r\n" },
      "what answers there speaks HTTP, not Postgres's protocol: check host and port",
    ],
    [
      "is something else",
      { answers: "220 smtp.example ESMTP\r\n" },
      "there speaks something else, not Postgres's protocol: check host and port",
    ],
    [
      "is shut down",
      { refusesEntry: { code: "57P03", message: "the database system is starting up" } },
      "the database system is starting up. Try again",
    ],
    [
      "is full",
      { refusesEntry: { code: "53300", message: "sorry, too many clients already" } },
      "sorry, too many clients already. Try again, or end some of its sessions",
    ],
    [
      "is shut down meanwhile",
      { refusesStatement: { code: "57P01", message: "terminating connection" } },
      "terminating connection",
    ],
  ])("asks the hub where what should be Postgres %s", async (_, behaviour, reason) => {
    const hub = await startFakeHub(HELD);
    const { env, place } = await startWirePostgres(behaviour);
    const run = await revoke({ ...hub.env, ...env });
    expect(run.code).toBe(0);
    expect(run.stderr).toContain(`Cannot ask Postgres at ${place}: `);
    expect(run.stderr).toContain(`${reason}.\nThe hub was asked`);
    expect(run.stderr).not.toContain("geheim");
    expect(hub.seen).toHaveLength(1);
  });

  test("waits 10 seconds for all of an answer, of Postgres and of a hub, and no longer", async () => {
    const hub = await startFakeHub(HELD);
    await Promise.all(
      (["silent", "stalls"] as const).map(async (behaviour) => {
        const slow = await startFakeHub(behaviour);
        const [neon, wire] = [
          await startNeonPostgres(behaviour),
          await startWirePostgres(behaviour),
        ];
        const [ofNeon, ofWire, list] = await Promise.all([
          revoke({ ...hub.env, ...neon.env }),
          revoke({ ...hub.env, ...wire.env }),
          cli(["topics", "list", "x"], slow),
        ]);
        for (const [run, { place }] of [
          [ofNeon, neon],
          [ofWire, wire],
        ] as const) {
          expect(run.code).toBe(0);
          expect(run.stderr).toContain(`at ${place}: no answer within 10 seconds.\n`);
        }
        expectFailure(list, `Cannot reach the hub at ${slow.url}: no answer within 10 seconds`);
      }),
    );
  });

  test.each([
    ["a wrong statement", "42P01", "no. Run npm run db:apply first"],
    ["a wrong password", "28P01", "no. Check the user and the password"],
    ["a right that is missing", "42501", "no. The user of DATABASE_URL lacks that right"],
    ["anything else", "22000", "no"],
  ])("does not ask the hub where Postgres refuses: %s", async (_, code, part) => {
    const hub = await startFakeHub(HELD);
    const body = { message: "no", code, detail: "geheim" };
    for (const { env, place } of [
      await startNeonPostgres({ status: 400, body }),
      await startWirePostgres({ refusesStatement: body }),
      await startWirePostgres({ refusesEntry: body }),
    ]) {
      const run = await revoke({ ...hub.env, ...env });
      expectFailure(run, `Cannot ask Postgres at ${place}: ${part}`);
      expect(run.stderr).not.toContain("geheim");
    }
    expect(hub.seen).toEqual([]);
  });

  test.each([
    ["is not known", {}, "HUB_URL and ADMIN_TOKEN are not set"],
    ["does not answer", DEAD_HUB, "Cannot reach the hub at http://127.0.0.1:2: ECONNREFUSED"],
  ])("names both causes where the hub %s", async (_, env, reason) => {
    expectNothingClaimed(await revoke(env), reason);
  });

  test.each([
    ["refuses", answer(401, { title: "Wrong" }), "The hub refused ADMIN_TOKEN (401): Wrong"],
    ["cannot do it", answer(503, { title: "Down" }), "The hub cannot do it (503): Down"],
    ["has no such key", answer(404, { title: "No" }), 'The hub knows no key 7 of "do main"'],
    ["says that it lives", answer(200, { state: "live", closed: 0 }), "not as a hub does"],
    ["says 202 of nothing", answer(202, REVOKED.body), "answers 202 and not as a hub does"],
    ["says nonsense", answer(200, []), "answers 200 and not as a hub does"],
  ])("names both causes where the hub %s", async (_, fake, reason) => {
    expectNothingClaimed(await revoke((await startFakeHub(fake)).env), reason);
  });

  test("refuses a domain that cannot be one", async () => {
    expectUsageError(await cli(["keys", "revoke", "7", "--domain", ".."]), "The domain must not");
  });
});

describe("keys revoke without --domain", () => {
  test("says that with it the hub could help", async () => {
    const hub = await startFakeHub(HELD);
    const env = { ...hub.env, DATABASE_URL: DEAD_POSTGRES };
    const run = await cli(["keys", "revoke", "7"], { env });
    expectFailure(run, `${REFUSED}.\nWith --domain D the hub revokes`);
    expect(run.stderr).not.toContain("geheim");
    expect(hub.seen).toEqual([]);
  });
});

describe("keys revoke --domain with Postgres", () => {
  test("revokes a key of the domain there, and the hub is told", async () => {
    const hub = await startFakeHub(REVOKED);
    const domain = newDomain();
    const id = String((await json(["keys", "create", domain]))["id"]);
    const revoked = await json(["keys", "revoke", id, "--domain", domain], hub);
    expect(revoked).toMatchObject({ domain, state: "revoked", ...COUNTS, held: false });
    expect(hub.seen).toEqual([authorized(`DELETE /v1/domains/${domain}/keys/${id}`)]);
  });

  test("refuses one of another domain, and revokes nothing", async () => {
    const hub = await startFakeHub(REVOKED);
    const [domain, other] = [newDomain(), newDomain()];
    const id = String((await json(["keys", "create", domain]))["id"]);
    const run = await cli(["keys", "revoke", id, "--domain", other], hub);
    expectFailure(run, `of "${domain}" is not of "${other}": nothing was revoked`);
    expect(await sql("select revoked_at from apikeys where id = $1", [id])).toEqual([
      { revoked_at: null },
    ]);
    expectFailure(
      await cli(["keys", "revoke", "2147483647", "--domain", other]),
      "There is no key",
    );
    expect(hub.seen).toEqual([]);
  });
});

function revoke(
  env: Readonly<Record<string, string>>,
  more: readonly string[] = [],
): Promise<CliRun> {
  return cli([...REVOKE, ...more], { env: { DATABASE_URL: DEAD_POSTGRES, ...env } });
}

function expectNothingClaimed(run: CliRun, reason: string): void {
  expectFailure(run, 'Cannot revoke key 7 of "do main", which may still open.');
  expect(run.stderr).toContain("Cannot ask Postgres at 127.0.0.1:2: no connection: ECONNREFUSED");
  expect(run.stderr).toContain(reason);
  expect(run.stderr).not.toMatch(/revoked|geheim/i);
}

function answer<T>(status: number, body: T): FakeAnswer & { readonly body: T } {
  return { status, body };
}
