/** Where objects are made, whoever asks for them first: the edge, a topic or a domain. */
import {
  createExecutionContext,
  runInDurableObject,
  waitOnExecutionContext,
} from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { TopicStubs } from "../../src/domain/topic-stubs.ts";
import { createApp } from "../../src/edge/app.ts";
import { KeyDesk } from "../../src/edge/key-desk.ts";
import { domainStub, topicStub } from "../../src/stubs.ts";
import { Registration } from "../../src/topic/registration.ts";
import { FakePostgres } from "./edge/support/fake-postgres.ts";
import { RecordingNamespace } from "./support/recording-namespace.ts";
import { freshTopic } from "./support/topics.ts";

const ADMIN_TOKEN = "admin-token-of-32-characters-at-least";
const HANDSHAKE = { Upgrade: "websocket", "Sec-WebSocket-Version": "13" };

interface Settings {
  readonly HOME_REGION?: string;
  readonly JURISDICTION?: string;
}

function record(settings: Settings) {
  const topics = new RecordingNamespace(env.TOPIC);
  const domains = new RecordingNamespace(env.DOMAIN);
  const objects = { TOPIC: topics.namespace, DOMAIN: domains.namespace };
  return { topics, domains, env: { ...env, ADMIN_TOKEN, ...objects, ...settings } };
}

function freshName(): string {
  return `place-${crypto.randomUUID()}`;
}

async function fetchWith(recorded: Env, path: string, init: RequestInit): Promise<Response> {
  const ctx = createExecutionContext();
  const response = await createApp().fetch(
    new Request(`https://hub.test${path}`, init),
    recorded,
    ctx,
  );
  await waitOnExecutionContext(ctx);
  return response;
}

function spyOnLog() {
  const log = vi.spyOn(console, "error").mockImplementation(() => {});
  onTestFinished(() => log.mockRestore());
  return log;
}

describe("stubs", () => {
  test.each([
    ["nothing set", {}, null, null],
    ["empty settings", { HOME_REGION: "", JURISDICTION: "" }, null, null],
    ["no jurisdiction", { HOME_REGION: "apac-ne", JURISDICTION: "none" }, "apac-ne", null],
    ["a region", { HOME_REGION: "me" }, "me", null],
    ["a jurisdiction", { JURISDICTION: "us" }, null, "us"],
    ["both", { HOME_REGION: "weur", JURISDICTION: "eu" }, "weur", "eu"],
  ] as const)("%s", (_, settings, region, jurisdiction) => {
    const recorded = record(settings);
    topicStub(recorded.env, { domain: "a", topic: "b/c d" });
    domainStub(recorded.env, "a");
    expect(recorded.topics.made).toEqual([{ name: "a/b/c d", region, jurisdiction }]);
    expect(recorded.domains.made).toEqual([{ name: "a", region, jurisdiction }]);
  });

  test.each([
    [{ HOME_REGION: "mars" }, "HOME_REGION"],
    [{ JURISDICTION: "EU" }, "JURISDICTION"],
    [{ HOME_REGION: "enam", JURISDICTION: "eu" }, "lies outside"],
  ])("none is made where the place is wrong: %j", (settings, part) => {
    const recorded = record(settings);
    expect(() => topicStub(recorded.env, { domain: "a", topic: "b" })).toThrow(part);
    expect(() => domainStub(recorded.env, "a")).toThrow(part);
    expect([recorded.topics.made, recorded.domains.made]).toEqual([[], []]);
  });

  test("workerd has no jurisdictions: they are ignored there, and that is said once", async () => {
    const log = spyOnLog();
    const settings = { ...env, JURISDICTION: "eu", HOME_REGION: "weur" };
    const domain = freshName();
    expect(await domainStub(settings, domain).topics("", 1)).toEqual([]);
    const { phase } = await topicStub(settings, { domain, topic: "t" }).describe();
    expect(phase).toBe("vacant");
    expect(log.mock.calls).toEqual([[expect.stringContaining('"jurisdiction-ignored"')]]);
  });

  test("whatever else fails, no object is made outside the jurisdiction", () => {
    const getByName = vi.fn<() => never>();
    const jurisdiction = vi.fn<() => never>().mockThrow(new TypeError("Jurisdiction unavailable"));
    const namespace = { getByName, jurisdiction } as unknown as Env["DOMAIN"];
    const settings = { DOMAIN: namespace, JURISDICTION: "eu" };
    expect(() => domainStub(settings, "a")).toThrow("Jurisdiction unavailable");
    expect(getByName).not.toHaveBeenCalled();
  });
});

describe("whoever asks first", () => {
  const EVERYWHERE = { HOME_REGION: "sam" };
  const HERE = { region: "sam", jurisdiction: null };

  test("the edge has every object made in the home region", async () => {
    const domain = freshName();
    const postgres = new FakePostgres();
    postgres.addKey({ keyId: 7, text: "key", domain });
    const recorded = record(EVERYWHERE);
    const hub = postgres.env(recorded.env);
    const admin = { headers: { Authorization: `Bearer ${ADMIN_TOKEN}` } };
    const byKey = { headers: { Authorization: "Bearer key" } };
    const path = `/v1/domains/${domain}`;
    const calls: [string, RequestInit, number, readonly string[]][] = [
      [`/ws/sub/${domain}/t`, { headers: HANDSHAKE }, 404, ["topic", "topic"]],
      [`/ws/sub/${domain}/t?ticket=${"A".repeat(43)}`, { headers: HANDSHAKE }, 401, ["domain"]],
      [`${path}/topics`, admin, 200, ["domain"]],
      [`${path}/topics/t`, admin, 200, ["topic", "domain"]],
      [`${path}/topics/t/tickets`, { ...byKey, method: "POST" }, 201, ["domain"]],
      // By now the key is remembered: the domain is asked what it has heard of it, too.
      [`${path}/topics/t/tickets`, { ...byKey, method: "POST" }, 201, ["domain", "domain"]],
      [`${path}/sync`, { ...admin, method: "POST" }, 200, ["domain"]],
      [`${path}/keys/7/sync`, { ...admin, method: "POST" }, 200, ["domain"]],
      [`${path}/keys/7`, { ...admin, method: "DELETE" }, 200, ["domain"]],
    ];
    for (const [url, init, status, kinds] of calls) {
      const response = await fetchWith(hub, url, init);
      const topics = recorded.topics.made.splice(0);
      const domains = recorded.domains.made.splice(0);
      expect([url, response.status]).toEqual([url, status]);
      expect([url, topics.length, domains.length]).toEqual([
        url,
        kinds.filter((kind) => kind === "topic").length,
        kinds.filter((kind) => kind === "domain").length,
      ]);
      for (const made of topics) expect(made).toEqual({ name: `${domain}/t`, ...HERE });
      for (const made of domains) expect(made).toEqual({ name: domain, ...HERE });
    }
  });

  test("the key desk, too", async () => {
    const domain = freshName();
    const postgres = new FakePostgres();
    const recorded = record(EVERYWHERE);
    const ctx = createExecutionContext();
    await new KeyDesk(ctx, postgres.env(recorded.env)).lookUp(domain, [7], null);
    await waitOnExecutionContext(ctx);
    expect(recorded.domains.made).toEqual([{ name: domain, ...HERE }]);
  });

  test("a topic's domain, and a domain's topics", async () => {
    const address = { domain: freshName(), topic: "a/b" };
    const recorded = record(EVERYWHERE);
    await runInDurableObject(freshTopic(), async (_, { storage }) => {
      const registration = new Registration(storage.kv, recorded.env, () => address);
      await registration.enter({ life: null, keyIds: [] });
    });
    expect(recorded.domains.made).toEqual([{ name: address.domain, ...HERE }]);
    const topics = new TopicStubs(recorded.env, () => address.domain);
    await topics.audit(`topic/${address.topic}`);
    const change = {
      type: "key",
      keyId: 1,
      standing: { type: "dead" },
      atMs: 0,
      number: 1,
    } as const;
    await topics.tell(`topic/${address.topic}`, change);
    const made = { name: `${address.domain}/a/b`, ...HERE };
    expect(recorded.topics.made).toEqual([made, made]);
  });

  let laterMs = 0;
  test.each([
    ["/ws/sub/d/t", {}],
    ["/ws/pub/key/d/t", {}],
    ["/v1/domains/d/topics", { Authorization: `Bearer ${ADMIN_TOKEN}` }],
  ])(
    "4.3 where the place is wrong %s says all that is, and no object is made",
    async (path, extra) => {
      const log = spyOnLog();
      const recorded = record({ HOME_REGION: "sam", JURISDICTION: "eu" });
      // What happens again within ten seconds is counted, and not written.
      laterMs += 20_000;
      vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + laterMs });
      const response = await fetchWith(recorded.env, path, { headers: { ...HANDSHAKE, ...extra } });
      vi.useRealTimers();
      expect(response.status).toBe(503);
      const { type, detail } = await response.json<{ type: string; detail: string }>();
      expect(type).toBe("urn:wspubsub:problem:topic-unavailable");
      expect(detail).toContain("DATABASE_URL is missing");
      expect(detail).toContain("HOME_REGION lies outside JURISDICTION");
      expect([recorded.topics.made, recorded.domains.made]).toEqual([[], []]);
      expect(log.mock.calls).toEqual([[expect.stringContaining('"configuration-invalid"')]]);
    },
  );
});
