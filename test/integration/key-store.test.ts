/** The key store's queries on a real Postgres: what rows come to, whatever dates they have, and by whose clock. */
import { neon, neonConfig } from "@neondatabase/serverless";
import { createHash } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parseDatabaseUrl } from "../../src/core/database-url.ts";
import { DEFAULT_POLICY } from "../../src/core/policy.ts";
import type { KeyStore } from "../../src/edge/key-store.ts";
import { neonKeyStore } from "../../src/edge/neon-key-store.ts";
import { startPostgres, type LocalPostgres } from "../support/local-postgres.ts";

/** What a date in the table is for the hub. */
const DATES = [
  [null, "live", null],
  ["infinity", "live", null],
  ["294276-01-01", "live", null],
  ["2099-12-31 23:59:59.999Z", "live", Date.UTC(2099, 11, 31, 23, 59, 59, 999)],
  ["2001-02-03 04:05:06.7891Z", "expired", Date.UTC(2001, 1, 3, 4, 5, 6, 789)],
  ["-infinity", "expired", 0],
  ["4000-01-01 BC", "expired", 0],
] as const;

let postgres: LocalPostgres;
let store: KeyStore;

beforeAll(async () => {
  postgres = await startPostgres();
  const database = parseDatabaseUrl(postgres.url);
  if (!database.ok) throw new Error(database.error);
  store = neonKeyStore(database.value);
});
afterAll(() => postgres.stop());

function run(query: string, params: unknown[] = []): Promise<Record<string, unknown>[]> {
  neonConfig.fetchEndpoint = postgres.endpoint;
  return neon(postgres.url).query(query, params);
}

function hash(key: string): string {
  return createHash("sha256").update(key).digest("hex");
}

/** Postgres's own. */
async function clock(): Promise<number> {
  const [row] = await run("select (extract(epoch from clock_timestamp()) * 1000)::float8 as ms");
  return Number(row?.["ms"]);
}

/** A domain that nobody else uses. */
function freshDomain(): string {
  return `domain-${crypto.randomUUID()}`;
}

async function addKey(
  domain: string,
  key: string,
  expiresAt: string | null = null,
): Promise<number> {
  const [row] = await run(
    "insert into apikeys (domain, apikey, active, expires_at) values ($1, $2, true, $3) returning id",
    [domain, key, expiresAt],
  );
  return Number(row?.["id"]);
}

/** When keys were last used, and which version of their rows there is. */
function usesOf(...keyIds: number[]): Promise<unknown[]> {
  return run(
    `select id, xmin::text as version, last_used_at >= now() - interval '1 minute' as "isNow"
       from apikeys where id = any($1::int[]) order by id`,
    [`{${keyIds.join(",")}}`],
  );
}

describe("the key store in Postgres", () => {
  test.each(DATES)("13.9 secrets that end at %s are read so", async (date, _, expiresAtMs) => {
    const domain = freshDomain();
    const [one, other] = ["1".repeat(32), "2".repeat(32)];
    await run(
      `insert into domains (domain, token_secret, token_secret_expires_at, token_secret_previous,
        token_secret_previous_expires_at) values ($1, $2, $4, $3, $4)`,
      [domain, one, other, date],
    );
    expect(await store.findDomain(domain)).toMatchObject({
      tokens: {
        secrets: [
          { text: one, expiresAtMs },
          { text: other, expiresAtMs },
        ],
      },
    });
  });

  test.each(DATES)(
    "12.6 a key that expires at %s is %s, at %s",
    async (date, state, expiresAtMs) => {
      const [domain, key] = [freshDomain(), crypto.randomUUID()];
      const keyId = await addKey(domain, key, date);
      expect(await store.findKeys(domain, [keyId])).toMatchObject({
        keys: [{ keyId, state, expiresAtMs }],
      });
      expect(await store.checkKey(hash(key), domain)).toMatchObject(
        state === "live" ? { type: "granted", keyId, expiresAtMs } : { type: "denied" },
      );
      expect(await store.revokeKey(domain, keyId)).toMatchObject({
        key: { keyId, state: "revoked", expiresAtMs },
      });
      expect(await store.findKeys(domain, [keyId])).toMatchObject({ keys: [{ state: "revoked" }] });
    },
  );

  test("every answer has the clock of its query, also where there is no row", async () => {
    const [domain, key] = [freshDomain(), crypto.randomUUID()];
    const keyId = await addKey(domain, key);
    let lastMs = Math.floor(await clock());
    for (const ask of [
      () => store.checkKey(hash(key), domain),
      () => store.findDomain(domain),
      () => store.findKeys(domain, [keyId]),
      () => store.findKeys(domain, []),
      () => store.revokeKey(domain, keyId),
      () => store.revokeKey(domain, 2_147_483_647),
    ]) {
      const answer = await ask();
      if (!("atMs" in answer)) throw new Error(`No clock: ${JSON.stringify(answer)}`);
      expect(answer.atMs).toBeGreaterThanOrEqual(lastMs);
      expect(Number.isSafeInteger(answer.atMs)).toBe(true);
      lastMs = answer.atMs;
    }
    expect(lastMs).toBeLessThanOrEqual(Math.ceil(await clock()));
  });

  describe("the last use of a key", () => {
    const DONE = { type: "done" };

    test("is written once a day, whoever asks", async () => {
      const domain = freshDomain();
      const [a, b, c] = [
        await addKey(domain, crypto.randomUUID()),
        await addKey(domain, crypto.randomUUID()),
        await addKey(domain, crypto.randomUUID()),
      ];
      expect(await store.noteUses([a, b, 2_147_483_647])).toEqual(DONE);
      const before = await usesOf(a, b, c);
      expect(before).toMatchObject([{ isNow: true }, { isNow: true }, { isNow: null }]);
      expect(await store.noteUses([a, b])).toEqual(DONE);
      expect(await usesOf(a, b, c)).toEqual(before);
    });

    test("of yesterday is replaced, one of today is not", async () => {
      const [old, young] = [
        await addKey(freshDomain(), crypto.randomUUID()),
        await addKey(freshDomain(), crypto.randomUUID()),
      ];
      await run(
        `update apikeys set last_used_at = date_trunc('day', now(), 'UTC')
           - case when id = $1 then interval '1 microsecond' else interval '0' end
           where id in ($1, $2)`,
        [old, young],
      );
      const before = await usesOf(young);
      await store.noteUses([old, young]);
      expect(await usesOf(old)).toMatchObject([{ isNow: true }]);
      expect(await usesOf(young)).toEqual(before);
    });

    test("is not noted where it cannot be, and all the rest works", async () => {
      const [domain, key] = [freshDomain(), crypto.randomUUID()];
      const keyId = await addKey(domain, key);
      await run("alter table apikeys drop column last_used_at");
      try {
        const reason = "Postgres error 42703";
        expect(await store.noteUses([keyId])).toEqual({ type: "unavailable", reason });
        expect(await store.checkKey(hash(key), domain)).toMatchObject({ type: "granted", keyId });
        expect(await store.findKeys(domain, [keyId])).toMatchObject({ keys: [{ keyId }] });
        expect(await store.revokeKey(domain, keyId)).toMatchObject({ type: "done" });
      } finally {
        await run("alter table apikeys add column last_used_at timestamptz");
      }
    });
  });

  test("keys are listed with their domain's policy, and none of another domain", async () => {
    const [domain, other] = [freshDomain(), freshDomain()];
    const ids = [
      await addKey(domain, crypto.randomUUID()),
      await addKey(domain, crypto.randomUUID()),
      await addKey(other, crypto.randomUUID()),
    ];
    await run("insert into domains (domain, subscribers) values ($1, 'token')", [domain]);
    expect(await store.findKeys(domain, ids)).toMatchObject({
      keys: [{ keyId: ids[0] }, { keyId: ids[1] }],
      policy: { subscribers: "token" },
    });
    expect(await store.findKeys(other, ids)).toMatchObject({
      keys: [{ keyId: ids[2] }],
      policy: DEFAULT_POLICY,
    });
    expect(await store.revokeKey(other, ids[0] ?? 0)).toMatchObject({ type: "done", key: null });
  });

  test("a row that schema.sql does not allow is its domain's alone", async () => {
    const [bad, good] = [freshDomain(), freshDomain()];
    const keyId = await addKey(bad, crypto.randomUUID());
    const checks = await run(
      "select conname from pg_constraint where conrelid = 'domains'::regclass and contype = 'c'",
    );
    for (const { conname } of checks) {
      await run(`alter table domains drop constraint "${String(conname)}"`);
    }
    await run("insert into domains (domain, grace_seconds) values ($1, -1), ($2, 1)", [bad, good]);
    const unreadable = { type: "unreadable", reason: "Unexpected row: graceSeconds" };
    expect(await store.findDomain(bad)).toEqual(unreadable);
    expect(await store.findDomain(good)).toMatchObject({ policy: { graceSeconds: 1 } });
    expect(await store.findKeys(bad, [keyId])).toMatchObject({
      keys: [{ keyId, state: "live" }],
      policy: null,
    });
  });

  test("4.3 what Postgres refuses says nothing about anybody", async () => {
    await run("alter table domains rename to elsewhere");
    const unavailable = { type: "unavailable", reason: "Postgres error 42P01" };
    expect(await store.findDomain(freshDomain())).toEqual(unavailable);
    await run("alter table elsewhere rename to domains");
  });
});

describe("probe", () => {
  test("15.9 a database with schema.sql is ready", async () => {
    expect(await store.probe()).toEqual({ type: "ready" });
  });

  test.each([
    [
      "without its tables",
      "alter table apikeys rename to gone",
      "alter table gone rename to apikeys",
    ],
    [
      "without policies",
      "alter table domains rename to gone",
      "alter table gone rename to domains",
    ],
    [
      "of a version before",
      "alter table domains rename max_topics to gone",
      "alter table domains rename gone to max_topics",
    ],
    [
      "whose keys are plain",
      "alter table apikeys rename apikey_hash to gone",
      "alter table apikeys rename gone to apikey_hash",
    ],
  ])("15.9 one %s is not", async (_, breakIt, mendIt) => {
    await run(breakIt);
    try {
      expect(await store.probe()).toEqual({
        type: "unprepared",
        reason: expect.stringMatching(/^Postgres error 42(P01|703)$/) as unknown,
      });
    } finally {
      await run(mendIt);
    }
  });
});
