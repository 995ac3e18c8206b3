/** Which refusals the operator reads of, and what stands in the lines: no secret, and nothing that strangers forge. */
import { env } from "cloudflare:workers";
import { SignJWT } from "jose";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { createApp } from "../../../src/edge/app.ts";
import { createExecutionContext } from "cloudflare:test";
import { countryOf } from "../../../src/edge/country.ts";
import worker from "../../../src/main.ts";
import { upgrade } from "../../../src/edge/upgrade.ts";
import { FakePostgres } from "./support/fake-postgres.ts";
import { ScriptedDomain, ScriptedPosts, ScriptedTopic } from "./support/scripted-objects.ts";

const HANDSHAKE = { Upgrade: "websocket", "Sec-WebSocket-Version": "13" };
const BY_KEY = { Authorization: "Bearer key" };
const CONFLICT = { type: "refused", slug: "publisher-conflict" } as const;
const NOT_LIVE = { type: "refused", slug: "topic-not-live" } as const;

function isRefusal(line: unknown): boolean {
  return typeof line === "object" && line !== null && Reflect.get(line, "event") === "refused";
}

function from(country: unknown): string | null {
  return countryOf(new Request("https://hub.test/", { cf: { country } }));
}

describe("a refusal's line", () => {
  test("17.1 has the domain in full to which somebody has posted", async () => {
    const name = `posted-${crypto.randomUUID()}`;
    const published = new ScriptedPosts({
      type: "published",
      cursor: "c",
      count: 1,
      subscribers: 0,
    });
    postgres.addKey({ keyId: 8, text: "other", domain: name });
    const post = async (headers: Record<string, string>): Promise<number> => {
      const url = `https://hub.test/v1/domains/${name}/topics/t/messages`;
      const ctx = createExecutionContext();
      const objects = { TOPIC: published.namespace };
      // Nothing but the post itself says that the domain is one: the key store is another each time.
      const { status } = await createApp().fetch(
        new Request(url, { method: "POST", headers, body: "a" }),
        { ...postgres.env(env), ...objects },
        ctx,
      );
      postgres = new FakePostgres();
      return status;
    };
    expect(await post({ Authorization: "Bearer other" })).toBe(200);
    expect(await post({})).toBe(401);
    expect(texts.map((text) => JSON.parse(text) as object)).toMatchObject([
      { event: "refused", slug: "key-required", domain: name },
    ]);
  });

  let texts: string[] = [];
  let postgres: FakePostgres;

  beforeEach(async () => {
    vi.useFakeTimers({ toFake: ["Date"] });
    postgres = new FakePostgres();
    postgres.addKey({ keyId: 7, text: "key", domain: "acme" });
    vi.spyOn(console, "log").mockImplementation((text: string) => void texts.push(text));
    // Those of before are told of, and nobody else's refusals are in the window that comes.
    later();
    await refuse("/ws/pub/acme/news", BY_KEY);
    later();
    texts = [];
  });
  afterEach(() => {
    vi.restoreAllMocks();
    vi.useRealTimers();
  });

  // Later than any other file's window: they share the log.
  let nowMs = Date.now() + 10 ** 10;
  function later(): void {
    nowMs += 3_600_000;
    vi.setSystemTime(nowMs);
  }

  async function refuse(
    path: string,
    headers: Record<string, string> = {},
    topic = new ScriptedTopic(CONFLICT),
  ): Promise<unknown> {
    const domain = new ScriptedDomain({ takeTicket: null });
    const response = await upgrade(
      new Request(`https://hub.test${path}`, {
        headers: { ...HANDSHAKE, "CF-Connecting-IP": crypto.randomUUID(), ...headers },
        cf: { country: "AT" } as unknown as RequestInitCfProperties,
      }),
      { ...postgres.env(env), TOPIC: topic.namespace, DOMAIN: domain.namespace },
      createExecutionContext(),
    );
    expect(response.status).not.toBe(101);
    return lines().at(-1);
  }

  function ask(path: string): Promise<Response> {
    const response = createApp().fetch(
      new Request(`https://hub.test${path}`, { headers: { ...HANDSHAKE, ...BY_KEY } }),
      { ...postgres.env(env), TOPIC: new ScriptedTopic(new Error("a bug")).namespace },
      createExecutionContext(),
    );
    return Promise.resolve(response);
  }

  function lines(): unknown[] {
    return texts.map((text): unknown => JSON.parse(text)).filter((line) => isRefusal(line));
  }

  test("says what, where and from which country", async () => {
    expect(await refuse("/ws/pub/acme/news", BY_KEY)).toEqual({
      level: "info",
      event: "refused",
      slug: "publisher-conflict",
      domain: "acme",
      country: "AT",
      count: 1,
    });
  });

  test("13.12 names what a token lacked", async () => {
    const secret = "a secret of at least 32 characters, for tests";
    postgres.domains.set("acme", { tokenSecret: secret });
    const details = [{ type: "wspubsub", actions: ["publish"], topics: ["*"] }];
    const token = await new SignJWT({ authorization_details: details })
      .setProtectedHeader({ alg: "HS256" })
      .setAudience("wspubsub:acme")
      .setSubject("user")
      .setExpirationTime("1h")
      .sign(new TextEncoder().encode(secret));
    const byToken = { Authorization: `Bearer ${token}` };
    for (const [path, slug] of [
      ["/ws/pub/acme/news", "token-publishers-off"],
      ["/ws/sub/acme/news", "token-lacks-subscribe"],
    ] as const) {
      expect(await refuse(path, byToken)).toMatchObject({ event: "refused", slug, domain: "acme" });
    }
    expect(texts.join("\n")).not.toContain(token);
  });

  test("is written once for each, also where the edge refuses by itself or the refusal is explained", async () => {
    await refuse("/ws/pub/acme/news?takeover=perhaps", BY_KEY);
    await refuse("/ws/pub/acme/news", { Authorization: "Bearer wrong" });
    const topic = new ScriptedTopic(CONFLICT);
    await upgrade(
      new Request("https://hub.test/ws/pub/acme/news?explain=1", {
        headers: { ...HANDSHAKE, ...BY_KEY },
      }),
      { ...postgres.env(env), TOPIC: topic.namespace },
      createExecutionContext(),
    );
    expect(lines()).toMatchObject([
      { slug: "invalid-parameter", domain: "acme" },
      { slug: "key-rejected", domain: "acme" },
      { slug: "publisher-conflict", domain: "acme", country: null },
    ]);
  });

  test("is written for routes under /v1, for paths that are nowhere, and for what was not foreseen", async () => {
    vi.spyOn(console, "error").mockImplementation(() => {});
    await ask("/v1/domains/other/topics");
    await ask("/nowhere");
    await ask("/ws/pub/acme/news");
    expect(lines()).toMatchObject([
      { slug: "key-rejected", domain: "other" },
      { slug: "not-found", domain: null },
      { slug: "internal", domain: "acme" },
    ]);
  });

  test("has at most a hint of a domain that nobody knows: a key may stand in its place", async () => {
    const secret = "kN3vX9-a-key-in-the-wrong-place";
    const topic = new ScriptedTopic(NOT_LIVE);
    for (const path of [
      `/ws/pub/${secret}/acme`,
      `/ws/sub/${secret}/acme`,
      `/ws/pub/acme/${secret}/news`,
      `/ws/pub/${secret}`,
      `/ws/pub/${secret}/acme/news/more`,
    ]) {
      later();
      await refuse(path, {}, topic);
    }
    later();
    // The very text is presented as a credential, too.
    await refuse(`/ws/pub/${secret}/acme`, { Authorization: `Bearer ${secret}` });
    later();
    await refuse("/ws/sub/short/acme", {}, topic);
    expect(lines()).toMatchObject([
      { domain: "kN3v…" },
      { domain: "kN3v…" },
      { domain: "kN3v…" },
      { domain: null },
      { domain: null },
      { domain: "kN3v…" },
      { domain: "…" },
    ]);
    expect(texts.join("\n")).not.toContain(secret.slice(0, 6));
  });

  test("names a domain that has let somebody in, whatever the request has beside it", async () => {
    const name = `domain-${crypto.randomUUID()}`;
    const topic = new ScriptedTopic("admitted", NOT_LIVE);
    const subscribe = (): Promise<Response> =>
      upgrade(
        new Request(`https://hub.test/ws/sub/${name}/news`, { headers: HANDSHAKE }),
        { ...postgres.env(env), TOPIC: topic.namespace },
        createExecutionContext(),
      );
    expect((await subscribe()).status).toBe(101);
    expect(lines()).toEqual([]);
    expect((await subscribe()).status).toBe(404);
    expect(lines()).toMatchObject([{ slug: "topic-not-live", domain: name }]);
  });

  test("is one line of bounded length, whatever a stranger makes up", async () => {
    const hostile = [
      "%0A%7B%22event%22%3A%22forged%22%7D",
      "%1b%5b2J",
      "%C2%9B2J",
      "%E2%80%A8line",
      "%E2%80%AEesrever",
      "\u{1F9EA}".repeat(64),
      "x".repeat(10_000),
    ];
    for (const name of hostile) {
      later();
      await refuse(`/ws/pub/${name}/news`, { Authorization: "Bearer wrong" });
    }
    expect(lines()).toHaveLength(hostile.length);
    for (const text of texts) {
      expect(text).toMatch(/^[^\p{C}\p{Zl}\p{Zp}]+$/u);
      expect(text.length).toBeLessThan(300);
    }
    expect(texts.join("")).not.toContain("forged");
  });

  test("never has an address", async () => {
    await refuse("/ws/sub/acme/news", { "CF-Connecting-IP": "203.0.113.77" });
    expect(texts.join("")).not.toContain("203.0.113");
  });

  test("floods of made-up domains stay few lines", async () => {
    for (let n = 0; n < 200; n++) {
      await refuse(`/ws/pub/made-up-${n}/news`, { Authorization: "Bearer a b" });
    }
    expect(lines()).toHaveLength(3);
    vi.setSystemTime(Date.now() + 20_000);
    await refuse("/ws/pub/acme/news", BY_KEY);
    expect(lines().slice(3)).toMatchObject([{ slug: "key-rejected", count: 197 }, { count: 1 }]);
  });
});

test("a country is what Cloudflare says, and nothing else", () => {
  expect(from("AT")).toBe("AT");
  expect(from("T1")).toBe("T1");
  for (const other of ["at", "AUT", "A\n", "", 7, undefined]) expect(from(other)).toBe(null);
  expect(countryOf(new Request("https://hub.test/", { headers: { "CF-IPCountry": "AT" } }))).toBe(
    null,
  );
});

test("the Worker itself notes refusals, and one request sees to it that none is lost", async () => {
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 10 ** 11 });
  const texts: string[] = [];
  vi.spyOn(console, "log").mockImplementation((text: string) => void texts.push(text));
  const work: Promise<unknown>[] = [];
  const ctx = Object.assign(createExecutionContext(), {
    waitUntil: (promise: Promise<unknown>) => void work.push(promise),
  });
  try {
    for (let n = 0; n < 7; n++) {
      await worker.fetch(new Request("https://hub.test/ws/sub/d"), env, ctx);
    }
    expect(texts).toHaveLength(3);
    expect(texts[0]).toContain('"slug":"not-found"');
    expect(work).toHaveLength(1);
  } finally {
    vi.useRealTimers();
    vi.restoreAllMocks();
  }
});
