/**
 * `wspubsub domains set` beside a hub: it is told once Postgres has the change, what it did is said, and what
 * could not be told is no failure.
 */
import { describe, expect, test } from "vitest";
import {
  SECRET_FORM,
  cli,
  expectFailure,
  json,
  newDomain,
  sql,
  usePostgres,
} from "../../support/cli.ts";
import {
  DEAD_HUB,
  authorized,
  startFakeHub,
  type FakeAnswer,
  type SeenRequest,
} from "../../support/fake-hub.ts";

usePostgres();

const NOT_TOLD =
  "Postgres has the change, but the hub was not told: a live topic finds out within 60 seconds of use, " +
  "others when their next publisher connects.";

describe("domains set tells the hub", () => {
  test.each([
    [{ told: 3, closed: 2, missed: 0 }, "3 live topics heard it; 2 sockets were closed."],
    [{ told: 1, closed: 1, missed: 0 }, "1 live topic heard it; 1 socket was closed."],
    [{ told: 2, closed: 0, missed: 0 }, "2 live topics heard it; no socket was closed."],
    [{ told: 0, closed: 0, missed: 0 }, "No topic is live, so none had to hear it."],
    [
      { told: 2, closed: 0, missed: 1 },
      "2 live topics heard it; no socket was closed. " +
        "1 live topic could not be reached yet: the hub goes on telling it.",
    ],
    [
      { told: 0, closed: 0, missed: 2 },
      "No live topic heard it; no socket was closed. " +
        "2 live topics could not be reached yet: the hub goes on telling them.",
    ],
  ])("%j", async (answer, sentences) => {
    const hub = await startFakeHub(synced(answer));
    const domain = `do main/${newDomain()}`;
    const set = ["domains", "set", domain, "--max-subscribers", "7"];
    expect(await cli(set, hub)).toEqual({
      code: 0,
      stdout: `Set for "${domain}": max_subscribers 7. ${sentences}\n`,
      stderr: "",
    });
    expect(await json(set, hub)).toMatchObject({ domain, ...answer });
    expect(hub.seen).toEqual([syncOf(domain), syncOf(domain)]);
  });

  test("once Postgres has the change", async () => {
    const domain = newDomain();
    const found: unknown[] = [];
    const hub = await startFakeHub(async () => {
      found.push(...(await sql("select subscribers from domains where domain = $1", [domain])));
      return synced({ told: 0, closed: 0, missed: 0 });
    });
    await json(["domains", "set", domain, "--subscribers", "token"], hub);
    expect(found).toEqual([{ subscribers: "token" }]);
  });

  test.each([
    [["--token-secret", "new"]],
    [["--token-secret", "none"]],
    [["--token-keys", "none"]],
    [["--token-issuer", "https://id.example"]],
  ])("of who signs tokens, too: %j", async (args) => {
    const hub = await startFakeHub(synced({ told: 1, closed: 0, missed: 0 }));
    const domain = newDomain();
    expect(await json(["domains", "set", domain, ...args], hub)).toMatchObject({ told: 1 });
    expect(hub.seen).toEqual([syncOf(domain)]);
  });

  test("and a new secret still stands alone on stdout", async () => {
    const hub = await startFakeHub(synced({ told: 1, closed: 0, missed: 0 }));
    const run = await cli(["domains", "set", newDomain(), "--token-secret", "new"], hub);
    expect(run.stdout.trimEnd()).toMatch(SECRET_FORM);
    expect(run.stderr).toContain("1 live topic heard it");
    expect(run.stderr).toContain("never again");
  });

  test("nothing where nothing was changed", async () => {
    const hub = await startFakeHub(synced({ told: 1, closed: 0, missed: 0 }));
    const env = { ...hub.env, DATABASE_URL: "postgres://u:p@127.0.0.1:2/d" };
    const run = await cli(["domains", "set", newDomain(), "--grace-seconds", "1"], { env });
    expectFailure(run, "Cannot ask Postgres");
    expect(hub.seen).toEqual([]);
  });
});

describe("domains set without a hub that can be told", () => {
  test.each([
    ["that is not known", {}, "HUB_URL and ADMIN_TOKEN are not set"],
    ["that does not answer", DEAD_HUB, "Cannot reach the hub at http://127.0.0.1:2: ECONNREFUSED"],
  ])("one %s", async (_, env, reason) => {
    await expectSetAllTheSame(env, [`${reason}.`, NOT_TOLD]);
  });

  test.each([
    [
      "that refuses",
      { status: 401, body: { title: "Wrong", detail: "Quite" } },
      "The hub refused ADMIN_TOKEN (401): Wrong. Quite.",
    ],
    [
      "that cannot reach Postgres",
      { status: 503, body: { title: "The key store cannot be reached" } },
      "The hub cannot do it (503): The key store cannot be reached.",
    ],
    ["that says less", { status: 200, body: { told: 1, closed: 0 } }, "not as a hub does"],
    ["that says 202", { ...synced({ told: 1, closed: 0, missed: 0 }), status: 202 }, "answers 202"],
    ["that counts wrongly", synced({ told: -1, closed: 0, missed: 0 }), "not as a hub does"],
    ["that is none", { status: 404, body: "<html>" }, "answers 404 and not as a hub does"],
    ["that is elsewhere", { status: 302, body: "", headers: { Location: "/" } }, "answers 302"],
  ])("one %s", async (_, answer, reason) => {
    const { env } = await startFakeHub(answer);
    await expectSetAllTheSame(env, [reason, NOT_TOLD]);
  });

  test("one of the version before, where live topics stay as they are", async () => {
    const { env } = await startFakeHub({ status: 404, body: { title: "There is nothing" } });
    await expectSetAllTheSame(env, [
      "The hub is of a version before this command line's.\nPostgres has the change, but the hub " +
        "was not told: a topic finds out when its next publisher connects.",
    ]);
  });
});

async function expectSetAllTheSame(
  env: Readonly<Record<string, string>>,
  parts: readonly string[],
): Promise<void> {
  const domain = newDomain();
  const args = ["domains", "set", domain, "--grace-seconds", "3"];
  const run = await cli(args, { env });
  expect(run).toMatchObject({ code: 0, stdout: `Set for "${domain}": grace_seconds 3.\n` });
  for (const part of parts) expect(run.stderr).toContain(part);
  const asJson = await cli([...args, "--json"], { env });
  expect(asJson).toMatchObject({ code: 0, stderr: run.stderr });
  const nothing = { told: null, missed: null, closed: null };
  expect(JSON.parse(asJson.stdout)).toMatchObject({ policy: { grace_seconds: 3 }, ...nothing });
  expect(await sql("select grace_seconds from domains where domain = $1", [domain])).toEqual([
    { grace_seconds: 3 },
  ]);
}

function synced(counts: { told: number; closed: number; missed: number }): FakeAnswer {
  return { status: 200, body: { domain: "any", ...counts } };
}

function syncOf(domain: string): SeenRequest {
  return authorized(`POST /v1/domains/${encodeURIComponent(domain)}/sync`);
}
