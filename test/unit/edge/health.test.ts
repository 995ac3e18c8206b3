/** PROTOCOL.md, 15.9: how the hub is, to strangers and to its operator. */
import { createExecutionContext, waitOnExecutionContext } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { version } from "../../../package.json";
import { createApp } from "../../../src/edge/app.ts";
import { FakePostgres } from "./support/fake-postgres.ts";

const ADMIN_TOKEN = "admin-token-of-32-characters-at-least";
const TIME: unknown = expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/);

interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  readonly body: unknown;
}

describe("15.9 GET /v1/health", () => {
  let postgres: FakePostgres;
  let client: string;

  beforeEach(() => {
    postgres = new FakePostgres();
    postgres.addKey({ keyId: 1, text: "key", domain: "acme" });
    client = crypto.randomUUID();
  });

  afterEach(() => {
    vi.useRealTimers();
  });

  async function request(
    path: string,
    {
      token = null,
      bindings = {},
      method = "GET",
    }: { token?: string | null; bindings?: object; method?: string } = {},
  ): Promise<Answer> {
    const headers = new Headers({ "CF-Connecting-IP": client });
    if (token !== null) headers.set("Authorization", `Bearer ${token}`);
    const ctx = createExecutionContext();
    const response = await createApp().fetch(
      new Request(`https://hub.test${path}`, { method, headers }),
      { ...postgres.env(env), ADMIN_TOKEN, ...bindings },
      ctx,
    );
    await waitOnExecutionContext(ctx);
    const text = await response.text();
    const { status } = response;
    return { status, headers: response.headers, text, body: text === "" ? null : JSON.parse(text) };
  }

  function health(options: Parameters<typeof request>[1] = {}): Promise<Answer> {
    return request("/v1/health", options);
  }

  function asAdmin(bindings: object = {}): Promise<Answer> {
    return health({ token: ADMIN_TOKEN, bindings });
  }

  /** A read of the key store's, as any publisher causes it. */
  function useKey(): Promise<Answer> {
    return request("/v1/domains/acme/topics", { token: "key" });
  }

  describe("to a stranger", () => {
    test("says the version, and that nothing was seen of the database yet", async () => {
      const { status, headers, body } = await health();
      expect(status).toBe(200);
      expect(headers.get("Cache-Control")).toBe("no-store");
      expect(headers.get("Content-Type")).toBe("application/json");
      expect(headers.get("Access-Control-Allow-Origin")).toBeNull();
      expect(body).toEqual({
        status: "ok",
        version,
        as_of: TIME,
        configuration: "ok",
        database: { status: "unknown", seen_at: null },
      });
    });

    test("asks neither Postgres nor an object, and is not counted", async () => {
      const untouchable = new Proxy({}, { get: () => expect.unreachable("a binding was used") });
      const limits = ["FAILED_CREDENTIALS", "FUTILE_LOOKUPS", "EMPTY_READS", "REFUSED_POSTS"];
      const names = ["TOPIC", "DOMAIN", ...limits];
      const bindings = Object.fromEntries(names.map((name) => [name, untouchable]));
      for (let n = 0; n < 3; n += 1) expect((await health({ bindings })).status).toBe(200);
      expect(postgres.asked).toEqual([]);
    });

    test("says what came of the last question, and when", async () => {
      vi.useFakeTimers({ toFake: ["Date"], now: 1_800_000_000_000 });
      await useKey();
      vi.setSystemTime(1_800_000_009_000);
      expect((await health()).body).toMatchObject({
        status: "ok",
        as_of: "2027-01-15T08:00:09.000Z",
        database: { status: "ok", seen_at: "2027-01-15T08:00:00.000Z" },
      });
    });

    test("is degraded while a failure is news, and until an answer comes", async () => {
      vi.useFakeTimers({ toFake: ["Date"], now: 1_800_000_000_000 });
      postgres.isDown = true;
      expect((await useKey()).status).toBe(503);
      const failed = { status: "failed", seen_at: "2027-01-15T08:00:00.000Z" };
      vi.setSystemTime(1_800_000_059_999);
      const { status, body } = await health();
      expect(status).toBe(503);
      expect(body).toMatchObject({ status: "degraded", database: failed });
      vi.setSystemTime(1_800_000_060_000);
      const later = await health();
      expect(later.status).toBe(200);
      expect(later.body).toMatchObject({ status: "ok", database: failed });

      expect((await useKey()).status).toBe(503);
      postgres.isDown = false;
      expect((await health()).status).toBe(503);
      await useKey();
      expect((await health()).status).toBe(200);
    });

    test.each([
      ["DATABASE_URL", { DATABASE_URL: "postgres://u:hunter2@db.internal" }],
      ["ADMIN_TOKEN", { ADMIN_TOKEN: "short" }],
      ["the place", { HOME_REGION: "mars" }],
    ])("says that %s is wrong, and not what is", async (_, bindings) => {
      const { status, body } = await health({ bindings });
      expect(status).toBe(503);
      expect(body).toEqual({
        status: "degraded",
        version,
        as_of: TIME,
        configuration: "invalid",
        database: { status: "unknown", seen_at: null },
      });
    });

    test("HEAD has the status and no body", async () => {
      const { status, text, headers } = await health({ method: "HEAD" });
      expect([status, text, headers.get("Cache-Control")]).toEqual([200, "", "no-store"]);
      expect((await health({ method: "HEAD", bindings: { HOME_REGION: "mars" } })).status).toBe(
        503,
      );
    });

    test.each(["POST", "PUT", "DELETE"])("%s is nothing", async (method) => {
      expect((await health({ method })).status).toBe(404);
    });
  });

  describe("to the operator", () => {
    test("asks Postgres now, whether it has the schema", async () => {
      const { status, body } = await asAdmin();
      expect(status).toBe(200);
      expect(body).toEqual({
        status: "ok",
        version,
        as_of: TIME,
        configuration: "ok",
        database: { status: "ok", seen_at: TIME, reason: null, schema: "ok" },
        faults: [],
      });
      expect(postgres.asked).toEqual(["probe"]);
      await asAdmin();
      expect(postgres.asked).toEqual(["probe", "probe"]);
      // What the operator's question came to is news for all.
      expect((await health()).body).toMatchObject({ database: { status: "ok", seen_at: TIME } });
    });

    test.each(["42P01", "42703"])("the schema is missing: %s", async (code) => {
      postgres.refusal = code;
      const { status, body, text } = await asAdmin();
      expect(status).toBe(503);
      expect(body).toMatchObject({
        status: "degraded",
        database: { status: "failed", reason: `Postgres error ${code}`, schema: "missing" },
      });
      expect(text).not.toContain("secret");
      expect((await health()).status).toBe(503);
    });

    test("a refusal of another kind says nothing of the schema", async () => {
      postgres.refusal = "28P01";
      expect((await asAdmin()).body).toMatchObject({
        database: { status: "failed", reason: "Postgres error 28P01", schema: null },
      });
    });

    test("a database that cannot be reached is named by nothing", async () => {
      postgres.isDown = true;
      const { status, body, text } = await asAdmin();
      expect(status).toBe(503);
      expect(body).toMatchObject({
        database: { status: "failed", reason: "No connection to the database", schema: null },
      });
      expect(text).not.toMatch(/localhost|postgres:|password/);
    });

    test("requests that come meanwhile share one question", async () => {
      const { promise, resolve } = Promise.withResolvers<void>();
      postgres.delay = () => promise;
      const answers = [asAdmin(), asAdmin(), asAdmin()];
      await vi.waitFor(() => expect(postgres.asked).toEqual(["probe"]));
      resolve();
      for (const { body } of await Promise.all(answers)) {
        expect(body).toMatchObject({ database: { status: "ok", schema: "ok" } });
      }
      expect(postgres.asked).toEqual(["probe"]);
    });

    test("a question without an answer ends after two seconds", async () => {
      vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
      const { promise: isAsked, resolve } = Promise.withResolvers<void>();
      postgres.delay = (signal) =>
        new Promise((_, reject) => {
          signal?.addEventListener("abort", () => reject(signal.reason as Error));
          resolve();
        });
      const answer = asAdmin();
      await isAsked;
      await vi.advanceTimersByTimeAsync(2000);
      expect((await answer).body).toMatchObject({
        database: { status: "failed", reason: "No answer within 2000 ms", schema: null },
      });
    });

    test.each([
      [{ DATABASE_URL: "" }, /^DATABASE_URL is missing/],
      [{ DATABASE_URL: "postgres://u:hunter2@db.internal" }, /^DATABASE_URL names no database/],
      [{ HOME_REGION: "mars" }, /^HOME_REGION must be/],
    ])("names what is wrong: %j", async (bindings, words) => {
      const { status, body, text } = await asAdmin(bindings);
      expect(status).toBe(503);
      expect(body).toMatchObject({
        configuration: "invalid",
        faults: [expect.stringMatching(words)],
      });
      expect(text).not.toMatch(/hunter2|db\.internal/);
    });

    test("a database whose URL is wrong was not asked", async () => {
      const { body } = await asAdmin({ DATABASE_URL: "" });
      expect(body).toMatchObject({
        database: { status: "unknown", seen_at: null, reason: null, schema: null },
      });
    });
  });

  test.each(["key", "wrong", `${ADMIN_TOKEN}x`])(
    "12.9 %s is not the admin token",
    async (token) => {
      const { status, body } = await health({ token });
      expect(status).toBe(401);
      expect(body).toMatchObject({ type: "urn:wspubsub:problem:key-rejected" });
      expect(postgres.asked).toEqual([]);
    },
  );

  test("14.1 who presents too much is refused", async () => {
    const bindings = { FAILED_CREDENTIALS: { limit: () => Promise.resolve({ success: false }) } };
    await health({ token: "wrong", bindings });
    expect((await health({ token: "wrong", bindings })).status).toBe(429);
    // Who presents nothing is not meant.
    expect((await health({ bindings })).status).toBe(200);
  });
});
