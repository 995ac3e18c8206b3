/** PROTOCOL.md, section 15: what an operator changes is carried to the domain, also to one of the version before. */
import { createExecutionContext, waitOnExecutionContext } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { beforeEach, describe, expect, test } from "vitest";
import { HELD_AT_MS } from "../../../src/core/change.ts";
import { DEFAULT_POLICY } from "../../../src/core/policy.ts";
import { createApp } from "../../../src/edge/app.ts";
import { hashKey } from "../../../src/edge/key-hash.ts";
import { openKeyStore } from "../../../src/edge/open-key-store.ts";
import { FakePostgres, type FakeKey } from "./support/fake-postgres.ts";
import { ScriptedDomain } from "./support/scripted-objects.ts";

const ADMIN_TOKEN = "admin-token-of-32-characters-at-least";
const TOLD = { closed: 2, told: 3, missed: 1, isHeld: false };
const LIVE = { type: "live", expiresAtMs: null };
const DEAD = { type: "dead" };
const REMEMBERED = { keepAlive: () => {}, isAnew: false };

function problem(slug: string): object {
  return { type: `urn:wspubsub:problem:${slug}` };
}

/** One that has heard of a change of the key. */
function domainOf(change: unknown): ScriptedDomain {
  return new ScriptedDomain({ topics: [], issueTicket: undefined, changeOf: change });
}

describe("the operator's routes", () => {
  let postgres: FakePostgres;
  let key: FakeKey;
  let hash: string;

  beforeEach(async () => {
    postgres = new FakePostgres();
    key = postgres.addKey({ keyId: 1, text: "key", domain: "acme" });
    hash = await hashKey("key");
  });

  async function call(
    method: string,
    path: string,
    domain: ScriptedDomain,
    token = ADMIN_TOKEN,
  ): Promise<{ status: number; body: Record<string, unknown> }> {
    const ctx = createExecutionContext();
    const response = await createApp().fetch(
      new Request(`https://hub.test/v1/domains/${path}`, {
        method,
        headers: { Authorization: `Bearer ${token}`, "CF-Connecting-IP": crypto.randomUUID() },
      }),
      { ...postgres.env(env), ADMIN_TOKEN, DOMAIN: domain.namespace },
      ctx,
    );
    await waitOnExecutionContext(ctx);
    return { status: response.status, body: await response.json<Record<string, unknown>>() };
  }

  /** What this isolate believes without asking. */
  function store() {
    const opened = openKeyStore(postgres.env(env));
    if (!opened.ok) throw new Error(opened.error.detail);
    return opened.value;
  }

  function syncKey(domain: ScriptedDomain, id = 1): ReturnType<typeof call> {
    return call("POST", `acme/keys/${id}/sync`, domain);
  }

  function revokeKey(domain: ScriptedDomain, id = 1): ReturnType<typeof call> {
    return call("DELETE", `acme/keys/${id}`, domain);
  }

  function syncDomain(domain: ScriptedDomain, token = ADMIN_TOKEN): ReturnType<typeof call> {
    return call("POST", "acme/sync", domain, token);
  }

  /** With the key, as somebody who is no admin. */
  function list(domain: ScriptedDomain): ReturnType<typeof call> {
    return call("GET", "acme/topics", domain, "key");
  }

  function ticket(domain: ScriptedDomain): ReturnType<typeof call> {
    return call("POST", "acme/topics/t/tickets", domain, "key");
  }

  describe("15.4 POST …/keys/{Id}/sync", () => {
    test.each([
      ["live", LIVE],
      ["inactive", DEAD],
      ["expired", DEAD],
      ["revoked", DEAD],
    ] as const)("tells the domain of a key that is %s, and who heard", async (state, standing) => {
      key.state = state;
      const domain = new ScriptedDomain({ changeKey: TOLD });
      expect(await syncKey(domain)).toEqual({
        status: 200,
        body: { domain: "acme", id: 1, state, expires_at: null, closed: 2, told: 3, missed: 1 },
      });
      expect(domain.calls).toEqual([
        ["changeKey", 1, standing, postgres.nowMs, state === "revoked"],
      ]);
    });

    test("15.6 an end is a time of RFC 3339", async () => {
      key.expiresAtMs = 0;
      const { body } = await syncKey(new ScriptedDomain({ changeKey: TOLD }));
      expect(body["expires_at"]).toBe("1970-01-01T00:00:00.000Z");
    });

    test("a key that was deleted is closed, and not found", async () => {
      const domain = new ScriptedDomain({ changeKey: TOLD });
      expect(await syncKey(domain, 9)).toMatchObject({ status: 404, body: problem("not-found") });
      expect(domain.calls).toEqual([["changeKey", 9, DEAD, postgres.nowMs, true]]);
    });

    test("what the domain holds as revoked is revoked now, and not taken back", async () => {
      const domain = new ScriptedDomain({ changeKey: { ...TOLD, isHeld: true } });
      expect(await syncKey(domain)).toMatchObject({
        status: 200,
        body: { state: "revoked", told: 3 },
      });
      expect(key.state).toBe("revoked");
      expect(postgres.asked).toEqual(["find-keys", "revoke-key"]);
    });

    test("12.9 this isolate forgets what it knew of the key", async () => {
      await store().checkKey(hash, "acme", REMEMBERED);
      await syncKey(new ScriptedDomain({ changeKey: TOLD }));
      expect(store().knowsKey(hash, "acme")).toBe(false);
    });

    test("a domain of the version before is told by the name that it knows", async () => {
      const domain = new ScriptedDomain({ applyKey: 5 });
      expect((await syncKey(domain)).body).toMatchObject({ closed: 5, told: null, missed: null });
      expect(domain.calls).toEqual([["applyKey", 1, LIVE]]);
    });

    test("4.3 while Postgres does not answer nothing is said, and nothing forgotten", async () => {
      await store().checkKey(hash, "acme", REMEMBERED);
      postgres.isDown = true;
      const domain = new ScriptedDomain({ changeKey: TOLD });
      expect(await syncKey(domain)).toMatchObject({ body: problem("key-store-unavailable") });
      expect(domain.calls).toEqual([]);
      expect(store().knowsKey(hash, "acme")).toBe(true);
    });
  });

  describe("15.5 DELETE …/keys/{Id}", () => {
    const body = {
      domain: "acme",
      id: 1,
      state: "revoked",
      expires_at: null,
      closed: 2,
      told: 3,
      missed: 1,
    };

    test("revokes in Postgres, and tells the domain when", async () => {
      const domain = new ScriptedDomain({ changeKey: TOLD });
      await store().checkKey(hash, "acme", REMEMBERED);
      expect(await revokeKey(domain)).toEqual({ status: 200, body: { ...body, held: false } });
      expect(key.state).toBe("revoked");
      expect(domain.calls).toEqual([["changeKey", 1, DEAD, postgres.nowMs, true]]);
      expect(store().knowsKey(hash, "acme")).toBe(false);
    });

    test("while Postgres does not answer the domain holds the revocation", async () => {
      postgres.addKey({ keyId: 2, text: "other", domain: "acme" });
      await store().checkKey(hash, "acme", REMEMBERED);
      await store().checkKey(await hashKey("other"), "acme", REMEMBERED);
      postgres.isDown = true;
      const domain = new ScriptedDomain({ holdRevocation: TOLD });
      expect(await revokeKey(domain)).toEqual({ status: 202, body: { ...body, held: true } });
      expect(domain.calls).toEqual([["holdRevocation", 1]]);
      expect(store().knowsKey(hash, "acme")).toBe(false);
      // Others get in by what is remembered of them, which is all that there is.
      expect(store().knowsKey(await hashKey("other"), "acme")).toBe(true);
    });

    test("a domain of the version before cannot hold it, and the answer says so", async () => {
      postgres.isDown = true;
      const { status, body: refusal } = await revokeKey(new ScriptedDomain({ applyKey: 5 }));
      expect({ status, body: refusal }).toMatchObject({
        status: 503,
        body: problem("topic-unavailable"),
      });
      expect(refusal["detail"]).toContain("being updated");
    });

    test("a domain of the version before is told by the name that it knows", async () => {
      const domain = new ScriptedDomain({ applyKey: 5 });
      expect((await revokeKey(domain)).body).toMatchObject({ closed: 5, told: null, missed: null });
    });

    test("a key that was deleted is closed, and not found", async () => {
      const domain = new ScriptedDomain({ changeKey: TOLD });
      expect(await revokeKey(domain, 9)).toMatchObject({ status: 404, body: problem("not-found") });
      expect(domain.calls).toEqual([["changeKey", 9, DEAD, postgres.nowMs, true]]);
    });
  });

  describe("15.7 POST …/sync", () => {
    test("tells the domain what it allows now, and says who heard", async () => {
      postgres.domains.set("acme", { subscribers: "token" });
      const domain = new ScriptedDomain({ changePolicy: TOLD });
      expect(await syncDomain(domain)).toEqual({
        status: 200,
        body: { domain: "acme", closed: 2, told: 3, missed: 1 },
      });
      const policy = { ...DEFAULT_POLICY, subscribers: "token" };
      expect(domain.calls).toEqual([["changePolicy", policy, postgres.nowMs]]);
    });

    test("this isolate forgets what it knew of the domain and its keys", async () => {
      await store().findDomain("acme", REMEMBERED);
      await store().checkKey(hash, "acme", REMEMBERED);
      postgres.domains.set("acme", { subscribers: "token" });
      await syncDomain(new ScriptedDomain({ changePolicy: TOLD }));
      expect(await store().findDomain("acme", REMEMBERED)).toMatchObject({
        policy: { subscribers: "token" },
      });
      expect(store().knowsKey(hash, "acme")).toBe(false);
    });

    test("is the admin's alone", async () => {
      const domain = new ScriptedDomain({ changePolicy: TOLD });
      expect(await syncDomain(domain, "key")).toMatchObject({
        status: 401,
        body: problem("key-rejected"),
      });
      expect(domain.calls).toEqual([]);
    });

    test("a row that cannot be read is told to nobody", async () => {
      postgres.domains.set("acme", { subscribers: "nobody" });
      const domain = new ScriptedDomain({ changePolicy: TOLD });
      expect(await syncDomain(domain)).toMatchObject({
        status: 503,
        body: problem("key-store-unavailable"),
      });
      expect(domain.calls).toEqual([]);
    });

    test("while Postgres does not answer nothing is said, and nothing forgotten", async () => {
      await store().checkKey(hash, "acme", REMEMBERED);
      postgres.isDown = true;
      const domain = new ScriptedDomain({ changePolicy: TOLD });
      expect(await syncDomain(domain)).toMatchObject({
        status: 503,
        body: problem("key-store-unavailable"),
      });
      expect(domain.calls).toEqual([]);
      expect(store().knowsKey(hash, "acme")).toBe(true);
    });

    test("a domain of the version before cannot do it, and the answer says so", async () => {
      const { status, body } = await syncDomain(new ScriptedDomain({ applyKey: 5 }));
      expect({ status, body }).toMatchObject({ status: 503, body: problem("topic-unavailable") });
      expect(body["detail"]).toContain("being updated");
    });

    test("2.1 an address that is none is refused before the token is looked at", async () => {
      const domain = new ScriptedDomain({});
      expect(await call("POST", "%00/sync", domain, "x")).toMatchObject({
        body: problem("invalid-address"),
      });
    });
  });

  describe("12.9 a key that this isolate remembers", () => {
    test.each([
      ["lists topics", list, 200],
      ["gets tickets", ticket, 201],
    ] as const)("%s until its domain hears that it died", async (_, ask, status) => {
      // Asked for just now, it needs no second opinion.
      const quiet = domainOf(null);
      expect(await ask(quiet)).toMatchObject({ status });
      expect(quiet.calls.map(([method]) => method)).not.toContain("changeOf");
      expect(await ask(domainOf(null))).toMatchObject({ status });
      const before = { type: "key", keyId: 1, standing: DEAD, atMs: 1, number: 1 };
      expect(await ask(domainOf(before))).toMatchObject({ status });
      const died = { ...before, atMs: postgres.nowMs };
      expect(await ask(domainOf(died))).toMatchObject({ status });
      // Postgres was asked, and said so.
      key.state = "revoked";
      expect(await ask(domainOf(died))).toMatchObject({ status: 401 });
      const outOfPostgres = new ScriptedDomain({ topics: [], issueTicket: undefined });
      expect(await ask(outOfPostgres)).toMatchObject({ status: 401 });
    });

    test("opens nothing while its revocation is held", async () => {
      expect(await list(domainOf(null))).toMatchObject({ status: 200 });
      const held = { type: "key", keyId: 1, standing: DEAD, atMs: HELD_AT_MS, number: 1 };
      expect(await list(domainOf(held))).toMatchObject({
        status: 401,
        body: problem("key-rejected"),
      });
    });

    test("is believed where the domain is of the version before", async () => {
      const domain = new ScriptedDomain({ topics: [] });
      expect(await list(domain)).toMatchObject({ status: 200 });
      expect(await list(domain)).toMatchObject({ status: 200 });
    });
  });

  test("a domain that ends meanwhile is asked once more, and no more often", async () => {
    const ended = Object.assign(new Error("reset"), { durableObjectReset: true });
    const once = (answer: unknown): (() => unknown) => {
      const answers = [ended, answer];
      return () => answers.shift();
    };
    const change = (answer: unknown): ScriptedDomain =>
      new ScriptedDomain({
        changeKey: once(answer),
        changePolicy: once(answer),
        holdRevocation: once(answer),
      });
    expect(await call("POST", "acme/keys/1/sync", change(TOLD))).toMatchObject({ status: 200 });
    expect(await call("POST", "acme/sync", change(TOLD))).toMatchObject({ status: 200 });
    expect(await list(new ScriptedDomain({ topics: once([]) }))).toMatchObject({ status: 200 });
    const issuing = new ScriptedDomain({ issueTicket: once(undefined), changeOf: once(null) });
    expect(await ticket(issuing)).toMatchObject({ status: 201 });
    expect(await call("DELETE", "acme/keys/1", change(TOLD))).toMatchObject({ status: 200 });
    postgres.isDown = true;
    expect(await call("DELETE", "acme/keys/1", change(TOLD))).toMatchObject({ status: 202 });
    const lost = change(ended);
    expect(await call("DELETE", "acme/keys/1", lost)).toMatchObject({
      status: 503,
      body: problem("topic-unavailable"),
    });
    expect(lost.calls).toHaveLength(2);
  });

  test("a domain that fails in another way is not taken for one of the version before", async () => {
    const lost = Object.assign(new Error("Network connection lost."), { retryable: true });
    const methods = { changeKey: lost, changePolicy: lost, holdRevocation: lost, applyKey: 5 };
    const domain = new ScriptedDomain(methods);
    const answers = [
      await call("POST", "acme/keys/1/sync", domain),
      await call("POST", "acme/sync", domain),
      await call("DELETE", "acme/keys/1", domain),
    ];
    postgres.isDown = true;
    answers.push(await call("DELETE", "acme/keys/1", domain));
    for (const { status, body } of answers) {
      expect(status).toBe(503);
      expect(body["detail"]).toBe("Try again in a few seconds");
    }
  });
});
