/** PROTOCOL.md, 12.8 and 12.9: what objects are told of keys and their domain, and what the domain hears of it. */
import { createExecutionContext, waitOnExecutionContext } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { beforeEach, describe, expect, test } from "vitest";
import { DEFAULT_POLICY } from "../../../src/core/policy.ts";
import { KeyDesk } from "../../../src/edge/key-desk.ts";
import { FakePostgres, type FakeKey } from "./support/fake-postgres.ts";
import { ScriptedDomain } from "./support/scripted-objects.ts";

const LIVE = { type: "live", expiresAtMs: null };
const DEAD = { type: "dead" };

describe("KeyDesk", () => {
  let postgres: FakePostgres;
  let key: FakeKey;
  let domain: ScriptedDomain;

  beforeEach(() => {
    postgres = new FakePostgres();
    key = postgres.addKey({ keyId: 1, text: "key", domain: "acme" });
    domain = new ScriptedDomain({ reportDeadKey: undefined });
  });

  /** Asks, and waits for what the desk does beside answering. */
  async function ask<T>(question: (desk: KeyDesk) => Promise<T>, objects = domain): Promise<T> {
    const ctx = createExecutionContext();
    const desk = new KeyDesk(ctx, { ...postgres.env(env), DOMAIN: objects.namespace });
    const answer = await question(desk);
    await waitOnExecutionContext(ctx);
    return answer;
  }

  function lookUp(newerThanMs: number | null): ReturnType<KeyDesk["lookUp"]> {
    return ask((desk) => desk.lookUp("acme", [1], newerThanMs));
  }

  test("12.8 says what became of each key, what the domain allows, and for when that holds", async () => {
    postgres.domains.set("acme", { subscribers: "token" });
    postgres.addKey({ keyId: 2, text: "other", domain: "acme" }).expiresAtMs = 5;
    expect(await ask((desk) => desk.lookUp("acme", [1, 2, 3], null))).toEqual({
      atMs: postgres.nowMs,
      standings: [
        { keyId: 1, standing: LIVE },
        { keyId: 2, standing: { type: "live", expiresAtMs: 5 } },
        { keyId: 3, standing: DEAD },
      ],
      policy: { ...DEFAULT_POLICY, subscribers: "token" },
    });
    expect(postgres.asked).toEqual(["find-keys"]);
  });

  test("a domain's row that cannot be read leaves the keys' standings as they are", async () => {
    postgres.domains.set("acme", { subscribers: "nobody" });
    expect(await lookUp(null)).toMatchObject({
      standings: [{ keyId: 1, standing: LIVE }],
      policy: null,
    });
  });

  test("12.8 asks again for whoever knows as much already", async () => {
    const atMs = postgres.nowMs;
    await lookUp(null);
    key.state = "inactive";
    postgres.nowMs += 1;
    expect(await lookUp(null)).toMatchObject({ atMs, standings: [{ standing: LIVE }] });
    expect(await lookUp(atMs)).toMatchObject({ atMs: atMs + 1, standings: [{ standing: DEAD }] });
  });

  test("12.9 tells the domain of each key that is dead, and when that held", async () => {
    key.state = "inactive";
    await ask((desk) => desk.lookUp("acme", [1, 2], null));
    expect(domain.calls).toEqual([
      ["reportDeadKey", 1, postgres.nowMs],
      ["reportDeadKey", 2, postgres.nowMs],
    ]);
    key.state = "live";
    await ask((desk) => desk.lookUp("acme", [1], postgres.nowMs));
    expect(domain.calls).toHaveLength(2);
  });

  test("a domain of the version before is told by the name that it knows", async () => {
    key.state = "revoked";
    const before = new ScriptedDomain({ reportDead: undefined });
    await ask((desk) => desk.lookUp("acme", [1], null), before);
    expect(before.calls).toEqual([["reportDead", 1, postgres.nowMs]]);
  });

  test("a domain that cannot be reached keeps nobody from the answer", async () => {
    key.state = "revoked";
    const unreachable = new ScriptedDomain({
      reportDeadKey: new Error("Network connection lost."),
    });
    expect(await ask((desk) => desk.lookUp("acme", [1], null), unreachable)).toMatchObject({
      standings: [{ standing: DEAD }],
    });
  });

  test("a topic of the version before is answered as it was", async () => {
    expect(await ask((desk) => desk.standings("acme", [1]))).toEqual({
      checkedAtMs: postgres.nowMs,
      standings: [{ keyId: 1, standing: LIVE }],
    });
  });

  test("revokes, says when, and whether there is such a key", async () => {
    const atMs = postgres.nowMs;
    expect(await ask((desk) => desk.revoke("acme", 1))).toEqual({ atMs, isKnown: true });
    expect(key.state).toBe("revoked");
    expect(await ask((desk) => desk.revoke("other", 1))).toEqual({ atMs, isKnown: false });
  });

  test("12.9 what was known of a key before it was revoked is not said again", async () => {
    await lookUp(null);
    await ask((desk) => desk.revoke("acme", 1));
    expect(await lookUp(null)).toMatchObject({
      standings: [{ standing: DEAD }],
    });
  });

  test("says nothing while Postgres does not answer, also where something is remembered", async () => {
    await lookUp(null);
    postgres.isDown = true;
    expect(await ask((desk) => desk.lookUp("acme", [1], postgres.nowMs))).toBeNull();
    expect(await ask((desk) => desk.standings("acme", [2]))).toBeNull();
    expect(await ask((desk) => desk.revoke("acme", 1))).toBeNull();
    expect(domain.calls).toEqual([]);
  });

  test("says nothing while the hub has no key store", async () => {
    const ctx = createExecutionContext();
    const desk = new KeyDesk(ctx, env);
    expect(await desk.lookUp("acme", [1], null)).toBeNull();
    expect(await desk.revoke("acme", 1)).toBeNull();
  });
});
