/** The key store over Neon's protocol: what its rows come to, and what becomes of those that are none. */
import { beforeEach, describe, expect, test, vi } from "vitest";
import { parseDatabaseUrl } from "../../../src/core/database-url.ts";
import { DEFAULT_POLICY } from "../../../src/core/policy.ts";
import type { KeyStore } from "../../../src/edge/key-store.ts";
import { hashKey } from "../../../src/edge/key-hash.ts";
import { neonKeyStore } from "../../../src/edge/neon-key-store.ts";
import { FakePostgres } from "./support/fake-postgres.ts";

const DOWN = { type: "unavailable", reason: "No connection to the database" };

function open({ url }: FakePostgres): KeyStore {
  const database = parseDatabaseUrl(url);
  if (!database.ok) throw new Error(database.error);
  return neonKeyStore(database.value);
}

describe("neonKeyStore", () => {
  let postgres: FakePostgres;
  let store: KeyStore;

  beforeEach(() => {
    postgres = new FakePostgres();
    store = open(postgres);
    postgres.addKey({ keyId: 1, text: "key", domain: "acme" });
  });

  /** Every question of the port. */
  async function askAll(): Promise<unknown[]> {
    const answers = [];
    answers.push(await store.checkKey(await hashKey("key"), "acme"));
    answers.push(await store.findDomain("acme"));
    answers.push(await store.findKeys("acme", [1]));
    answers.push(await store.revokeKey("acme", 1));
    return answers;
  }

  test("every answer has Postgres's clock in whole milliseconds, also where there is no row", async () => {
    const atMs = postgres.nowMs;
    for (const answer of await askAll()) expect(answer).toMatchObject({ atMs });
    expect(await store.findDomain("nobody")).toMatchObject({ type: "found", atMs });
    expect(await store.findKeys("nobody", [1, 2])).toEqual({
      type: "found",
      keys: [],
      policy: DEFAULT_POLICY,
      atMs,
    });
    expect(await store.revokeKey("nobody", 1)).toEqual({ type: "done", key: null, atMs });
    expect(await store.checkKey(await hashKey("other"), "acme")).toEqual({ type: "denied" });
  });

  test("keys come with their domain's policy, in one query", async () => {
    postgres.domains.set("acme", { subscribers: "token" });
    postgres.addKey({ keyId: 2, text: "other", domain: "acme" }).state = "revoked";
    const policy = { ...DEFAULT_POLICY, subscribers: "token" };
    expect(await store.findKeys("acme", [1, 2, 3])).toMatchObject({
      keys: [
        { keyId: 1, state: "live" },
        { keyId: 2, state: "revoked" },
      ],
      policy,
    });
    expect(postgres.asked).toEqual(["find-keys"]);
  });

  test("a domain's row that cannot be read is not the keys'", async () => {
    postgres.domains.set("acme", { maxMessageBytes: 0 });
    const unreadable = { type: "unreadable", reason: "Unexpected row: maxMessageBytes" };
    expect(await store.checkKey(await hashKey("key"), "acme")).toEqual(unreadable);
    expect(await store.findDomain("acme")).toEqual(unreadable);
    expect(await store.findKeys("acme", [1])).toMatchObject({
      keys: [{ keyId: 1, state: "live" }],
      policy: null,
    });
  });

  test("a secret that cannot be read is never repeated", async () => {
    postgres.domains.set("acme", { tokenSecret: "hunter2" });
    expect(await store.findDomain("acme")).toEqual({
      type: "unreadable",
      reason: "Unexpected row: tokenSecret",
    });
  });

  test.each([Infinity, -Infinity, NaN])(
    "a date that is no number (%s) is a bad row",
    async (date) => {
      const [key] = postgres.keys;
      if (key !== undefined) key.expiresAtMs = date;
      expect(await store.findKeys("acme", [1])).toEqual({
        type: "unreadable",
        reason: "Unexpected row: expiresAtMs",
      });
    },
  );

  test("a store that cannot be reached is unavailable", async () => {
    postgres.isDown = true;
    expect(await askAll()).toEqual([DOWN, DOWN, DOWN, DOWN]);
  });

  test("4.3 a query that is not answered within 2 seconds is cut off", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    const cutOff = vi.fn<() => void>();
    const { promise: isAsked, resolve } = Promise.withResolvers<void>();
    postgres.delay = (signal) =>
      new Promise((_, reject) => {
        signal?.addEventListener("abort", () => {
          cutOff();
          reject(signal.reason as Error);
        });
        resolve();
      });
    const answer = store.findDomain("acme");
    await isAsked;
    await vi.advanceTimersByTimeAsync(1999);
    expect(cutOff).not.toHaveBeenCalled();
    await vi.advanceTimersByTimeAsync(1);
    expect(await answer).toEqual({ type: "unavailable", reason: "No answer within 2000 ms" });
    vi.useRealTimers();
  });

  test("an answer leaves no timer behind, a failure neither", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    await askAll();
    postgres.isDown = true;
    await askAll();
    expect(vi.getTimerCount()).toBe(0);
    vi.useRealTimers();
  });
});
