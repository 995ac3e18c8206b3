/**
 * `wspubsub keys rotate, revoke, activate, deactivate`: what is stored, what the hub is told, what it
 * says, and that nothing fails for want of a hub.
 */
import { describe, expect, test } from "vitest";
import {
  SECRET_FORM,
  cli,
  expectFailure,
  expectUsageError,
  json,
  newDomain,
  sql,
  usePostgres,
} from "../../support/cli.ts";
import {
  ADMIN_TOKEN,
  DEAD_HUB,
  authorized,
  startFakeHub,
  type FakeAnswer,
  type SeenRequest,
} from "../../support/fake-hub.ts";

usePostgres();

const NOT_TOLD =
  "Postgres has the change, but the hub was not told: who uses the key is closed within 60 seconds of use instead of at once.";

describe("keys rotate", () => {
  test("makes a key of the same domain and user, and the old one ends after the overlap", async () => {
    const hub = await startFakeHub(synced({ state: "live", closed: 0 }));
    const domain = newDomain();
    const old = await json(["keys", "create", domain, "--username", "me"]);
    const args = ["keys", "rotate", String(old["id"]), "--overlap", "2d", "--expires", "90d"];
    const made = await json(args, hub);
    expect(made).toMatchObject({ domain, username: "me", state: "live", closed: 0 });
    expect(made["key"]).toMatch(SECRET_FORM);
    expect(made["replaced"]).toMatchObject({ id: old["id"], state: "live" });
    expect(hub.seen).toEqual([syncOf(domain, old["id"])]);
    const [row] = await sql(
      `select n.expires_at - n.insert_ts = interval '90 days' as new,
         o.expires_at - n.insert_ts = interval '2 days' as old,
         n.apikey_hash <> o.apikey_hash as other
       from apikeys n, apikeys o where n.id = $1 and o.id = $2`,
      [made["id"], old["id"]],
    );
    expect(row).toEqual({ new: true, old: true, other: true });
  });

  test("does not prolong the old key, and overlaps for an hour unless told", async () => {
    const domain = newDomain();
    const brief = await json(["keys", "create", domain, "--expires", "5m"]);
    const [long] = [await json(["keys", "create", domain])];
    const { replaced } = await json(["keys", "rotate", String(brief["id"])]);
    expect(replaced).toMatchObject({ expires_at: brief["expires_at"] });
    const rotated = await json(["keys", "rotate", String(long["id"])]);
    const [row] = await sql(
      `select o.expires_at - n.insert_ts = interval '1 hour' as hour
       from apikeys n, apikeys o where n.id = $1 and o.id = $2`,
      [rotated["id"], long["id"]],
    );
    expect(row).toEqual({ hour: true });
  });

  test("--overlap 0s ends the old key at once; the new key stands alone on stdout", async () => {
    const hub = await startFakeHub(synced({ state: "expired", closed: 2 }));
    const { id } = await json(["keys", "create", newDomain()]);
    const run = await cli(["keys", "rotate", String(id), "--overlap", "0s"], hub);
    expect(run.code).toBe(0);
    expect(run.stdout.trimEnd()).toMatch(SECRET_FORM);
    expect(run.stderr).toContain("expired since");
    expect(run.stderr).toContain("2 sockets were closed");
  });

  test("refuses a revoked key and one that is not there, and makes none", async () => {
    const domain = newDomain();
    const { id } = await json(["keys", "create", domain]);
    await json(["keys", "revoke", String(id)]);
    expectFailure(await cli(["keys", "rotate", String(id)]), `keys create ${domain}`);
    expectFailure(await cli(["keys", "rotate", "2147483647"]), "There is no key 2147483647");
    expect(await sql("select id from apikeys where domain = $1", [domain])).toEqual([{ id }]);
  });
});

describe("keys rotate of a key that opens nothing", () => {
  const OFF = [
    ["inactive", "active = false"],
    ["inactive", "active = null"],
    ["expired", "expires_at = now()"],
    ["expired", "expires_at = '-infinity'"],
    ["expired", "active = false, expires_at = now()"],
  ] as const;

  test.each(OFF)(
    "refuses one that is %s (%s): whoever it was taken from gets none",
    async (state, change) => {
      const domain = newDomain();
      const { id } = await json(["keys", "create", domain]);
      await sql(`update apikeys set ${change} where id = $1`, [id]);
      const before = await sql("select * from apikeys where domain = $1", [domain]);
      const run = await cli(["keys", "rotate", String(id), "--overlap", "2d"]);
      expectFailure(run, `Key ${String(id)} (`);
      expect(run.stderr).toContain(`is ${state}`);
      expect(run.stderr).toContain("--force");
      expect(await sql("select * from apikeys where domain = $1", [domain])).toEqual(before);
    },
  );

  test.each(OFF)(
    "--force makes a live one in place of one that is %s (%s)",
    async (state, change) => {
      const domain = newDomain();
      const { id } = await json(["keys", "create", domain, "--username", "me"]);
      await sql(`update apikeys set ${change} where id = $1`, [id]);
      const made = await json(["keys", "rotate", String(id), "--force"]);
      expect(made).toMatchObject({
        domain,
        username: "me",
        state: "live",
        replaced: { id, state },
      });
    },
  );

  test("--force makes none of a revoked key", async () => {
    const domain = newDomain();
    const { id } = await json(["keys", "create", domain]);
    await json(["keys", "revoke", String(id)]);
    expectFailure(await cli(["keys", "rotate", String(id), "--force"]), `keys create ${domain}`);
    expect(await sql("select id from apikeys where domain = $1", [domain])).toEqual([{ id }]);
  });
});

describe("keys revoke, deactivate, activate", () => {
  test("store it and have the hub close publishers at once", async () => {
    const hub = await startFakeHub(synced({ state: "revoked", closed: 1 }));
    const domain = `do main/${newDomain()}`;
    const { id } = await json(["keys", "create", domain]);
    const off = await json(["keys", "deactivate", String(id)], hub);
    expect(off).toMatchObject({ id, state: "inactive", closed: 1 });
    const on = await json(["keys", "activate", String(id)], hub);
    expect(on).toMatchObject({ id, state: "live" });
    const run = await cli(["keys", "revoke", String(id)], hub);
    expect(run).toMatchObject({ code: 0, stderr: "" });
    expect(run.stdout).toContain("1 socket was closed");
    const expected = syncOf(domain, id);
    // A revocation is not looked up but repeated: a hub that does not reach Postgres holds it then.
    const repeated = authorized(
      `DELETE /v1/domains/${encodeURIComponent(domain)}/keys/${String(id)}`,
    );
    expect(hub.seen).toEqual([expected, expected, repeated]);
    const [row] = await sql(
      "select active, revoked_at <= now() as revoked from apikeys where id = $1",
      [id],
    );
    expect(row).toEqual({ active: true, revoked: true });
  });

  test("revoking again keeps the time; a revoked key can be switched off but not on", async () => {
    const id = String((await json(["keys", "create", newDomain()]))["id"]);
    const first = await json(["keys", "revoke", id]);
    const again = await json(["keys", "revoke", id]);
    expect(again["revoked_at"]).toBe(first["revoked_at"]);
    expect(await json(["keys", "deactivate", id])).toMatchObject({ state: "revoked" });
    expectFailure(await cli(["keys", "activate", id]), "revoked since");
    const [row] = await sql("select active from apikeys where id = $1", [id]);
    expect(row).toEqual({ active: false });
  });

  test.each(["revoke", "activate", "deactivate"])(
    "%s refuses a key that is not there",
    async (verb) => {
      expectFailure(await cli(["keys", verb, "2147483647"]), "There is no key 2147483647");
    },
  );

  test.each(["0", "-1", "x", "2147483648", "1.5"])("revoke refuses the number %s", async (id) => {
    expectUsageError(await cli(["keys", "revoke", "--", id]), "number of a key");
  });

  test.each([
    ["that is not set", {}, "HUB_URL and ADMIN_TOKEN are not set"],
    ["whose token is not set", { HUB_URL: "https://hub.example" }, "ADMIN_TOKEN is not set"],
    ["whose address is not set", { ADMIN_TOKEN }, "HUB_URL is not set"],
    ["that does not answer", DEAD_HUB, "Cannot reach the hub at http://127.0.0.1:2: ECONNREFUSED"],
  ])("succeed without a hub: one %s", async (_, env, reason) => {
    const { id } = await json(["keys", "create", newDomain()]);
    const run = await cli(["keys", "revoke", String(id), "--json"], { env });
    expect(run.code).toBe(0);
    expect(JSON.parse(run.stdout)).toMatchObject({ state: "revoked", closed: null });
    expect(run.stderr).toContain(reason);
    expect(run.stderr).toContain(NOT_TOLD);
  });

  test("succeed with a hub that refuses, and show its problem", async () => {
    const body = { title: "Unauthorized", detail: "The admin token is wrong" };
    const hub = await startFakeHub({ status: 401, body });
    const { id } = await json(["keys", "create", newDomain()]);
    const run = await cli(["keys", "revoke", String(id), "--json"], hub);
    expect(run.code).toBe(0);
    expect(JSON.parse(run.stdout)).toMatchObject({ closed: null });
    expect(run.stderr).toContain(
      "The hub refused ADMIN_TOKEN (401): Unauthorized. The admin token is wrong",
    );
    expect(run.stderr).toContain(NOT_TOLD);
    expect(run.stderr).not.toContain(ADMIN_TOKEN);
  });
});

describe("what the hub says of a changed key", () => {
  test.each([
    [{ told: 3, missed: 0, closed: 0 }, "No socket was closed."],
    [
      { told: 1, missed: 1, closed: 1 },
      "1 socket was closed. 1 topic could not be reached yet: the hub goes on telling it.",
    ],
    [{ told: null, missed: null, closed: 2 }, "2 sockets were closed."],
    [
      { told: 0, missed: 2, closed: 0, held: true },
      "No socket was closed. 2 topics could not be reached yet: the hub goes on telling them. " +
        "The hub holds the revocation until Postgres has it.",
    ],
  ])("%j", async (answer, sentences) => {
    const hub = await startFakeHub(synced({ state: "revoked", ...answer }));
    const id = String((await json(["keys", "create", newDomain()]))["id"]);
    const expected = { held: false, ...answer };
    expect(await json(["keys", "rotate", id], hub)).toMatchObject(expected);
    expect(await json(["keys", "deactivate", id], hub)).toMatchObject(expected);
    expect(await json(["keys", "revoke", id], hub)).toMatchObject(expected);
    const { stdout } = await cli(["keys", "revoke", id], hub);
    expect(stdout).toMatch(/^Revoked: key \d+ \(.{5}\) of "\S+" is revoked since \S+Z\. /);
    expect(stdout.trimEnd().endsWith(`Z. ${sentences}`)).toBe(true);
  });

  test("a revocation that the hub holds outlasts a key that is switched on", async () => {
    const hub = await startFakeHub(synced({ state: "revoked", closed: 0, held: true }));
    const id = String((await json(["keys", "create", newDomain()]))["id"]);
    expect((await cli(["keys", "activate", id], hub)).stdout).toContain(
      "But the hub holds a revocation of it that Postgres is yet to get: it opens nothing.",
    );
  });

  test("a hub that does not reach Postgres holds a revocation that is there", async () => {
    const { body } = synced({ state: "revoked", closed: 1, told: 1, missed: 0, held: true });
    const hub = await startFakeHub({ status: 202, body });
    const id = String((await json(["keys", "create", newDomain()]))["id"]);
    expect(await json(["keys", "revoke", id], hub)).toMatchObject({ closed: 1, held: true });
  });

  test("a hub of the version before says less", async () => {
    const hub = await startFakeHub(synced({ state: "revoked", closed: 1 }));
    const id = String((await json(["keys", "create", newDomain()]))["id"]);
    expect(await json(["keys", "revoke", id], hub)).toMatchObject({
      closed: 1,
      told: null,
      missed: null,
      held: false,
    });
  });

  test.each([
    ["202", { status: 202, body: synced({ state: "revoked", closed: 0 }).body }],
    ["a state that there is not", synced({ state: "gone", closed: 0 })],
    ["less than nobody", synced({ state: "revoked", closed: -1 })],
    ["half a topic", synced({ state: "revoked", closed: 0, told: 0.5 })],
    ["another page", { status: 200, body: "<html>" }],
  ])("%s is not how a hub answers", async (_, answer) => {
    const hub = await startFakeHub(answer);
    const id = String((await json(["keys", "create", newDomain()]))["id"]);
    const run = await cli(["keys", "revoke", id, "--json"], hub);
    expect(run.code).toBe(0);
    expect(JSON.parse(run.stdout)).toMatchObject({ state: "revoked", closed: null, told: null });
    expect(run.stderr).toContain(`${hub.url} answers ${answer.status} and not as a hub does`);
    expect(run.stderr).toContain(NOT_TOLD);
  });

  test("that it has no such key means that it has another Postgres", async () => {
    const body = { title: "There is nothing at this path" };
    const hub = await startFakeHub({ status: 404, body });
    const id = String((await json(["keys", "create", newDomain()]))["id"]);
    const run = await cli(["keys", "revoke", id], hub);
    expect(run.code).toBe(0);
    expect(run.stderr).toContain("check that DATABASE_URL is the hub's");
  });
});

interface SyncAnswer {
  readonly state: string;
  readonly closed: number;
  readonly told?: number | null;
  readonly missed?: number | null;
  readonly held?: boolean;
}

function synced(answer: SyncAnswer): FakeAnswer {
  return { status: 200, body: { domain: "any", id: 1, expires_at: null, ...answer } };
}

function syncOf(domain: string, id: unknown): SeenRequest {
  return authorized(`POST /v1/domains/${encodeURIComponent(domain)}/keys/${String(id)}/sync`);
}
