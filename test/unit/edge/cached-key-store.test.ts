/** PROTOCOL.md, 12.9 and 12.10: what this isolate believes of keys and domains without asking, and what it forgets. */
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { CachedKeyStore } from "../../../src/edge/cached-key-store.ts";
import { hashKey } from "../../../src/edge/key-hash.ts";
import { openKeyStore } from "../../../src/edge/open-key-store.ts";
import { FakePostgres } from "./support/fake-postgres.ts";

const FRESH_MS = 15_000;
const REMEMBERED = { keepAlive: () => {}, isAnew: false };
const ANEW = { keepAlive: () => {}, isAnew: true };

describe("CachedKeyStore", () => {
  let postgres: FakePostgres;
  let store: CachedKeyStore;
  let hash: string;

  beforeEach(async () => {
    vi.useFakeTimers({ toFake: ["Date"] });
    postgres = new FakePostgres();
    postgres.addKey({ keyId: 1, text: "key", domain: "acme" });
    const opened = openKeyStore(postgres.env(env));
    if (!opened.ok) throw new Error(opened.error.detail);
    store = opened.value;
    hash = await hashKey("key");
  });
  afterEach(() => void vi.useRealTimers());

  function check(asking = REMEMBERED): ReturnType<CachedKeyStore["checkKey"]> {
    return store.checkKey(hash, "acme", asking);
  }

  function findDomain(asking = REMEMBERED): ReturnType<CachedKeyStore["findDomain"]> {
    return store.findDomain("acme", asking);
  }

  function findKeys(
    keyIds: readonly number[],
    newerThanMs: number | null,
  ): ReturnType<CachedKeyStore["findKeys"]> {
    return store.findKeys("acme", keyIds, { keepAlive: () => {}, newerThanMs });
  }

  test("a grant has Postgres's stamp, however late it is given, and says whether it is fresh", async () => {
    const atMs = postgres.nowMs;
    expect(await check()).toMatchObject({ type: "granted", keyId: 1, atMs, isFresh: true });
    postgres.nowMs += 60_000;
    expect(await check()).toMatchObject({ type: "granted", atMs, isFresh: false });
    expect(await check(ANEW)).toMatchObject({ atMs: atMs + 60_000, isFresh: true });
    expect(await check()).toMatchObject({ atMs: atMs + 60_000, isFresh: false });
  });

  test("who shares a question that was asked before is not given a fresh answer", async () => {
    const answers = await Promise.all([check(), check(), check(ANEW)]);
    expect(answers).toMatchObject([{ isFresh: true }, { isFresh: false }, { isFresh: true }]);
    expect(postgres.asked).toEqual(["check-key", "check-key"]);
  });

  test("a key that opens nothing is asked for every time, and ends what was known", async () => {
    await check();
    const [key] = postgres.keys;
    if (key !== undefined) key.state = "revoked";
    expect(await check()).toMatchObject({ type: "granted" });
    expect(await check(ANEW)).toEqual({ type: "denied" });
    expect(store.knowsKey(hash, "acme")).toBe(false);
    expect(await check()).toEqual({ type: "denied" });
    if (key !== undefined) key.state = "live";
    expect(await check()).toMatchObject({ type: "granted" });
  });

  test("a key that is over by what is remembered is asked for again: its end may have been put off", async () => {
    const [key] = postgres.keys;
    if (key === undefined) throw new Error("There is no key");
    key.expiresAtMs = Date.now() + 1000;
    await check();
    vi.advanceTimersByTime(999);
    expect(await check()).toMatchObject({ isFresh: false });
    key.expiresAtMs = Date.now() + 60_000;
    vi.advanceTimersByTime(1);
    expect(await check()).toMatchObject({ expiresAtMs: key.expiresAtMs, isFresh: true });
  });

  test("a key that is over opens nothing by what is remembered, though Postgres is down", async () => {
    const [key] = postgres.keys;
    if (key === undefined) throw new Error("There is no key");
    key.expiresAtMs = Date.now() + FRESH_MS + 1;
    await check();
    postgres.isDown = true;
    vi.advanceTimersByTime(FRESH_MS);
    expect(await check()).toMatchObject({ type: "granted" });
    vi.advanceTimersByTime(1);
    expect(await check()).toMatchObject({ type: "unavailable" });
  });

  test("a domain is remembered with its stamp as well", async () => {
    const atMs = postgres.nowMs;
    expect(await findDomain()).toMatchObject({ type: "found", atMs, isFresh: true });
    postgres.nowMs += 1;
    expect(await findDomain()).toMatchObject({ atMs, isFresh: false });
    expect(await findDomain(ANEW)).toMatchObject({ atMs: atMs + 1, isFresh: true });
  });

  test("14.10 a domain that nobody knows is remembered briefly, and displaces none that is known", async () => {
    await findDomain();
    for (let n = 0; n < 4100; n++) {
      expect(await store.findDomain(`made-up-${n}`, REMEMBERED)).toMatchObject({ isKnown: false });
    }
    expect(postgres.asked).toHaveLength(4101);
    expect(await findDomain()).toMatchObject({ isKnown: true, isFresh: false });
    expect(await store.findDomain("made-up-4099", REMEMBERED)).toMatchObject({ isFresh: false });
    expect(store.remembersDomain("made-up-4099")).toBe(true);
    expect(store.knewDomain("made-up-4099")).toBe(false);
    vi.advanceTimersByTime(FRESH_MS);
    expect(store.remembersDomain("made-up-4099")).toBe(false);
    expect(store.remembersDomain("acme")).toBe(false);
    expect(store.knewDomain("acme")).toBe(true);
    expect(await store.findDomain("made-up-4099", REMEMBERED)).toMatchObject({ isFresh: true });
  });

  test("14.10 a domain that becomes known is not taken for unknown where an operator says so", async () => {
    expect(await store.findDomain("new", REMEMBERED)).toMatchObject({ isKnown: false });
    postgres.domains.set("new", {});
    store.forgetDomain("new");
    expect(await store.findDomain("new", REMEMBERED)).toMatchObject({ isKnown: true });
    postgres.domains.delete("new");
    expect(await store.findDomain("new", ANEW)).toMatchObject({ isKnown: false });
    expect(store.knewDomain("new")).toBe(false);
  });

  test("keys in use are looked up again unless what is known is newer than the asker's", async () => {
    const atMs = postgres.nowMs;
    await findKeys([1], null);
    postgres.nowMs += 1;
    expect(await findKeys([1], null)).toMatchObject({ atMs });
    expect(await findKeys([1], atMs - 1)).toMatchObject({ atMs });
    expect(await findKeys([1], atMs)).toMatchObject({ atMs: atMs + 1 });
    postgres.isDown = true;
    expect(await findKeys([1], atMs + 1)).toMatchObject({ type: "unavailable" });
    vi.advanceTimersByTime(FRESH_MS);
    expect(await findKeys([1], null)).toMatchObject({ type: "unavailable" });
  });

  test("keys of a domain whose row cannot be read are not remembered", async () => {
    postgres.domains.set("acme", { graceSeconds: -1 });
    expect(await findKeys([1], null)).toMatchObject({ keys: [{ state: "live" }], policy: null });
    postgres.domains.delete("acme");
    expect(await findKeys([1], null)).toMatchObject({ policy: { graceSeconds: 10 } });
  });

  describe("forgets", () => {
    let other: string;

    beforeEach(async () => {
      postgres.addKey({ keyId: 11, text: "other", domain: "acme" });
      postgres.addKey({ keyId: 1, text: "key", domain: "me acme" });
      other = await hashKey("other");
      await check();
      await store.checkKey(other, "acme", REMEMBERED);
      await store.checkKey(hash, "me acme", REMEMBERED);
      await findDomain();
      await findKeys([1, 2], null);
      await findKeys([11], null);
      postgres.asked.length = 0;
    });

    test("a key, by its number and in its domain alone", async () => {
      store.forgetKey("acme", 1);
      expect(store.knowsKey(hash, "acme")).toBe(false);
      expect(store.knowsKey(other, "acme")).toBe(true);
      expect(store.knowsKey(hash, "me acme")).toBe(true);
      await findKeys([11], null);
      await findDomain();
      expect(postgres.asked).toEqual([]);
      await findKeys([1, 2], null);
      expect(postgres.asked).toEqual(["find-keys"]);
    });

    test("all of a domain, and nothing of another", async () => {
      store.forgetDomain("acme");
      expect(store.knowsKey(hash, "acme")).toBe(false);
      expect(store.knowsKey(other, "acme")).toBe(false);
      expect(store.knowsKey(hash, "me acme")).toBe(true);
      await findKeys([11], null);
      await findDomain();
      expect(postgres.asked).toEqual(["find-keys", "find-domain"]);
    });

    test("an answer about that key that is under way", async () => {
      store.forgetKey("acme", 1);
      const { promise, resolve } = Promise.withResolvers<void>();
      postgres.delay = () => promise;
      const underWay = check();
      await vi.waitFor(() => expect(postgres.asked).toEqual(["check-key"]));
      store.forgetKey("acme", 1);
      resolve();
      expect(await underWay).toMatchObject({ type: "granted" });
      expect(store.knowsKey(hash, "acme")).toBe(false);
    });
  });
});
