/** PROTOCOL.md, 14.14: which reads count for their client, what that ends, and whom it does not concern. */
import { createExecutionContext, waitOnExecutionContext } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { Answer } from "../../../src/core/admission.ts";
import { createApp } from "../../../src/edge/app.ts";
import { CountingLimit } from "./support/counting-limit.ts";
import { FakePostgres } from "./support/fake-postgres.ts";
import { ScriptedDomain, ScriptedTopic, type PageScript } from "./support/scripted-objects.ts";

const LIMIT = 4;
const NOT_LIVE: Answer = { type: "refused", slug: "topic-not-live" };
const EMPTY: PageScript = { type: "page", body: "{}", cursor: "c-1", isEmpty: true };
const FULL: PageScript = { ...EMPTY, isEmpty: false };
const HANDSHAKE = { Upgrade: "websocket", "Sec-WebSocket-Version": "13" };

async function times(most: number, ask: () => Promise<number>): Promise<void> {
  for (let n = 0; n < most; n += 1) expect(await ask()).not.toBe(429);
}

describe("14.14 reads without a credential", () => {
  let postgres: FakePostgres;
  let limit: CountingLimit;
  /** Who asks; nobody else has this name. */
  let client: string;

  beforeEach(() => {
    vi.useFakeTimers({ toFake: ["Date"] });
    postgres = new FakePostgres();
    limit = new CountingLimit(LIMIT);
    postgres.addKey({ keyId: 7, text: "key", domain: "acme" });
    client = crypto.randomUUID();
  });
  afterEach(() => void vi.useRealTimers());

  async function send(
    topic: ScriptedTopic,
    path: string,
    headers: Readonly<Record<string, string>>,
  ): Promise<number> {
    const { namespace: DOMAIN } = new ScriptedDomain({ changeOf: null });
    const bindings = { ...postgres.env(env), TOPIC: topic.namespace, DOMAIN, EMPTY_READS: limit };
    const ctx = createExecutionContext();
    const request = new Request(`https://hub.test${path}`, {
      headers: { "CF-Connecting-IP": client, ...headers },
    });
    const response = await createApp().fetch(request, bindings, ctx);
    // The work behind it ends when its body is read.
    await response.text();
    await waitOnExecutionContext(ctx);
    return response.status;
  }

  type Headers = Readonly<Record<string, string>>;
  const read = (topic: ScriptedTopic, headers: Headers = {}, query = ""): Promise<number> =>
    send(topic, `/v1/domains/acme/topics/news/messages${query}`, headers);
  const connect = (topic: ScriptedTopic, headers: Headers = {}): Promise<number> =>
    send(topic, "/ws/sub/acme/news", { ...HANDSHAKE, ...headers });

  /** Has so many been counted. */
  async function count(most: number): Promise<void> {
    const asked = Array.from({ length: most }, () => limit.limit({ key: client }));
    expect((await Promise.all(asked)).every(({ success }) => success)).toBe(true);
  }

  const empty = (): Promise<number> => read(new ScriptedTopic(EMPTY));

  test("that bring nothing, page or socket, are counted together; from then on no topic is asked", async () => {
    const refused = new ScriptedTopic(NOT_LIVE);
    await count(LIMIT - 4);
    await times(2, empty);
    await times(2, () => connect(refused));
    expect(await empty()).toBe(200);
    const untouched = new ScriptedTopic("admitted", FULL);
    expect(await read(untouched)).toBe(429);
    expect(await connect(untouched)).toBe(429);
    expect(untouched.heard).toEqual([]);
  });

  test.each([
    "topic-not-live",
    "token-required",
    "too-many-subscribers",
    "topic-full",
    "too-many-waiting",
  ] as const)("that are refused with %s are among them", async (slug) => {
    await count(LIMIT);
    await times(1, () => read(new ScriptedTopic({ type: "refused", slug })));
    expect(await empty()).toBe(429);
  });

  test("that wait are counted when they have waited in vain", async () => {
    await count(LIMIT);
    // The wait is over at once: the topic closes the socket.
    expect(await read(new ScriptedTopic(EMPTY, "closed", FULL), {}, "?wait=1")).toBe(200);
    expect(await read(new ScriptedTopic(EMPTY, "closed", EMPTY), {}, "?wait=1")).toBe(200);
    expect(await empty()).toBe(429);
  });

  test("18.5 that wait go on from where they waited, whatever was asked for", async () => {
    const topic = new ScriptedTopic(EMPTY, "closed", FULL);
    expect(await read(topic, {}, "?since=-1&wait=1")).toBe(200);
    expect(topic.heard).toMatchObject([{ since: "-1" }, { since: "c-1" }, { since: "c-1" }]);
  });

  test("that wait on a socket are counted when they come", async () => {
    await count(LIMIT);
    expect(await connect(new ScriptedTopic("waiting"))).toBe(101);
    expect(await empty()).toBe(429);
  });

  test("that bring something, or a socket, are not: a whole office comes back", async () => {
    await count(LIMIT);
    await times(200, () => connect(new ScriptedTopic("admitted")));
    await times(200, () => read(new ScriptedTopic(FULL)));
    expect(await empty()).toBe(200);
    expect(await empty()).toBe(429);
  });

  test("that meet a fault of the hub's are not", async () => {
    const slug = "topic-unavailable";
    await count(LIMIT);
    await times(10, () => connect(new ScriptedTopic({ type: "refused", slug })));
    expect(await empty()).toBe(200);
  });

  test("do not concern a good key, nor is it counted", async () => {
    const headers = { Authorization: "Bearer key" };
    await count(LIMIT);
    await times(10, () => read(new ScriptedTopic(EMPTY), headers));
    await times(10, () => connect(new ScriptedTopic(NOT_LIVE), headers));
    await times(1, empty);
    expect(await empty()).toBe(429);
    expect(await read(new ScriptedTopic(EMPTY), headers)).toBe(200);
    expect(await connect(new ScriptedTopic(NOT_LIVE), headers)).toBe(404);
  });

  test("concern one client, for ten seconds", async () => {
    await count(LIMIT);
    await times(1, empty);
    expect(await empty()).toBe(429);
    const name = client;
    client = crypto.randomUUID();
    expect(await empty()).toBe(200);
    client = name;
    vi.advanceTimersByTime(9999);
    expect(await empty()).toBe(429);
    vi.advanceTimersByTime(1);
    expect(await empty()).toBe(200);
  });
});
