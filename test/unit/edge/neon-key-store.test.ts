/** The key store over Neon's protocol: what its rows come to, and what becomes of those that are none. */
import { beforeEach, describe, expect, test, vi } from "vitest";
import { parseDatabaseUrl } from "../../../src/core/database-url.ts";
import { DEFAULT_POLICY } from "../../../src/core/policy.ts";
import type { KeyStore, Sight } from "../../../src/edge/key-store.ts";
import { hashKey } from "../../../src/edge/key-hash.ts";
import { neonKeyStore } from "../../../src/edge/neon-key-store.ts";
import { FakePostgres } from "./support/fake-postgres.ts";

const DOWN = { type: "unavailable", reason: "No connection to the database" };

function open({ url }: FakePostgres, onSight?: (sight: Sight) => void): KeyStore {
  const database = parseDatabaseUrl(url);
  if (!database.ok) throw new Error(database.error);
  return neonKeyStore(database.value, onSight);
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

  test("15.9 what came of a question is seen, of a change it is not: the role may not write", async () => {
    const onSight = vi.fn<(sight: Sight) => void>();
    store = open(postgres, onSight);
    const questions = [
      async () => store.checkKey(await hashKey("key"), "acme"),
      () => store.findDomain("acme"),
      () => store.findKeys("acme", [1]),
      () => store.probe(),
    ];
    for (const question of questions) {
      for (const refusal of [null, "42501"]) {
        postgres.refusal = refusal;
        const atMs = Date.now();
        await question();
        const fault = refusal && `Postgres error ${refusal}`;
        expect(onSight.mock.calls).toEqual([[{ atMs: expect.any(Number), fault }]]);
        expect(onSight.mock.calls[0]?.[0].atMs).toBeGreaterThanOrEqual(atMs);
        onSight.mockClear();
      }
    }
    await store.revokeKey("acme", 1);
    await store.noteUses([1]);
    expect(onSight).not.toHaveBeenCalled();
  });

  test("4.3 a query that is not answered within 2 seconds is cut off", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval"] });
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

  test("4.3 a query that is cut off in the middle of its answer has the same reason", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval"] });
    const { promise: isAsked, resolve } = Promise.withResolvers<void>();
    vi.mocked(fetch).mockImplementationOnce((_, init) => {
      const body = new ReadableStream({
        start(controller) {
          init?.signal?.addEventListener("abort", () => controller.error(init.signal?.reason));
          resolve();
        },
      });
      return Promise.resolve(new Response(body));
    });
    const answer = store.findDomain("acme");
    await isAsked;
    await vi.advanceTimersByTimeAsync(2000);
    expect(await answer).toEqual({ type: "unavailable", reason: "No answer within 2000 ms" });
    vi.useRealTimers();
  });

  test.each([
    ["The endpoint answered 500", () => new Response("password", { status: 500 })],
    ["The endpoint answered 502", () => new Response("<html>", { status: 502 })],
    ["Postgres error 57P01", () => Response.json({ code: "57P01", message: "x" }, { status: 400 })],
    ["The endpoint refused the query", () => Response.json({ message: "x" }, { status: 400 })],
    ["The answer is not the protocol's", () => new Response("<html>")],
    ["The answer is not the protocol's", () => Response.json({ fields: [], rows: [["?"]] })],
    ["The answer is not the protocol's", () => Response.json({})],
    [
      "No connection to the database",
      () => Promise.reject(new TypeError("Network connection lost.")),
    ],
    [
      "No connection to the database",
      () =>
        new Response(
          new ReadableStream({
            start: (controller) => controller.error(new Error("Network connection lost.")),
          }),
        ),
    ],
  ])("one cause has one text: %s", async (reason, respond) => {
    vi.mocked(fetch).mockImplementation(() => Promise.resolve(respond()));
    expect(await askAll()).toEqual(
      Array.from({ length: 4 }, () => ({ type: "unavailable", reason })),
    );
  });

  test("the time of a query stands still while the isolate is busy", async () => {
    vi.useFakeTimers({
      toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval", "Date"],
    });
    const { promise: isAsked, resolve } = Promise.withResolvers<void>();
    const { promise: answered, resolve: respond } = Promise.withResolvers<void>();
    postgres.delay = () => {
      resolve();
      return answered;
    };
    const answer = store.findDomain("acme");
    await isAsked;
    // Nothing was looked at meanwhile, and then all at once.
    vi.setSystemTime(Date.now() + 10_000);
    await vi.advanceTimersByTimeAsync(100);
    respond();
    expect(await answer).toMatchObject({ type: "found" });
    vi.useRealTimers();
  });

  test("an answer leaves no timer behind, a failure neither", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval"] });
    await askAll();
    postgres.isDown = true;
    await askAll();
    expect(vi.getTimerCount()).toBe(0);
    vi.useRealTimers();
  });
});
