/** PROTOCOL.md, section 14: what is counted by client, what is refused then, and what is not. */
import { createExecutionContext, waitOnExecutionContext } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { SignJWT } from "jose";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { Answer } from "../../../src/core/admission.ts";
import { openKeyStore } from "../../../src/edge/open-key-store.ts";
import { upgrade } from "../../../src/edge/upgrade.ts";
import { leaveRoomInMinute } from "../../support-in-workerd/real-time.ts";
import { FakePostgres, type FakeKey } from "./support/fake-postgres.ts";
import { ScriptedDomain, ScriptedTopic } from "./support/scripted-objects.ts";

const HANDSHAKE = { Upgrade: "websocket", "Sec-WebSocket-Version": "13" };
const SECRET = "a secret of at least 32 characters, for tests";
const POLICY: Answer = { type: "needs", what: "policy" };
const NOT_LIVE: Answer = { type: "refused", slug: "topic-not-live" };
const LIMIT = 30;
const PUB = "/ws/pub/acme/news";
const SUB = "/ws/sub/acme/news";
const HOUR_MS = 3_600_000;

async function token(secret = SECRET, domain = "acme"): Promise<string> {
  return new SignJWT({
    authorization_details: [{ type: "wspubsub", actions: ["subscribe"], topics: ["*"] }],
  })
    .setProtectedHeader({ alg: "HS256" })
    .setAudience(`wspubsub:${domain}`)
    .setSubject("user")
    .setExpirationTime("2h")
    .sign(new TextEncoder().encode(secret));
}

async function slugOf(response: Response): Promise<string | null> {
  if (response.status === 101) return null;
  const { type } = await response.json<{ type: string }>();
  return type.replace("urn:wspubsub:problem:", "");
}

describe("limits by client", () => {
  let postgres: FakePostgres;
  let key: FakeKey;
  /** Who asks; nobody else has this name. */
  let client: string;
  let domain: ScriptedDomain;

  beforeEach(async () => {
    await leaveRoomInMinute();
    vi.useFakeTimers({ toFake: ["Date"] });
    postgres = new FakePostgres();
    key = postgres.addKey({ keyId: 7, text: "key", domain: "acme" });
    postgres.domains.set("acme", { tokenSecret: SECRET });
    client = crypto.randomUUID();
    domain = new ScriptedDomain({ takeTicket: null });
  });
  afterEach(() => void vi.useRealTimers());

  async function connect(
    path: string,
    topic: ScriptedTopic,
    credential?: string,
    from = client,
  ): Promise<string | null> {
    const ctx = createExecutionContext();
    const headers = new Headers({ ...HANDSHAKE, "CF-Connecting-IP": from });
    if (credential !== undefined) headers.set("Authorization", `Bearer ${credential}`);
    const response = await upgrade(
      new Request(`https://hub.test${path}`, { headers }),
      { ...postgres.env(env), TOPIC: topic.namespace, DOMAIN: domain.namespace },
      ctx,
    );
    await waitOnExecutionContext(ctx);
    return slugOf(response);
  }

  const publish = (text: string, from = client): Promise<string | null> =>
    connect(PUB, new ScriptedTopic("admitted"), text, from);
  const subscribe = (text: string): Promise<string | null> =>
    connect(SUB, new ScriptedTopic("admitted"), text);

  /** Presents so many keys that open nothing. */
  async function guess(count: number): Promise<void> {
    for (let n = 0; n < count; n++) expect(await publish(`guess-${n}`)).not.toBe(null);
  }

  const look = (
    name: string,
    topic = new ScriptedTopic(POLICY, NOT_LIVE),
  ): Promise<string | null> => connect(`/ws/sub/${name}/news`, topic);

  /** Asks for so many. */
  async function lookUp(count: number): Promise<void> {
    for (let n = 0; n < count; n++) expect(await look(`made-up-${n}`)).toBe("topic-not-live");
  }

  describe("14.1 credentials that open nothing", () => {
    test("keys: the one over the limit ends it, and costs no query from then on", async () => {
      await guess(LIMIT);
      expect(await publish("x")).toBe("key-rejected");
      postgres.asked.length = 0;
      expect(await publish("y")).toBe("too-many-requests");
      expect(postgres.asked).toEqual([]);
    });

    test("tokens count", async () => {
      const wrong = await token("another secret of 32 characters at least");
      // After some the domain's settings are not read anew for this address (13.10): that counts, too.
      const answers = ["token-rejected", "key-store-unavailable"];
      for (let n = 0; n < LIMIT; n++) expect(answers).toContain(await subscribe(wrong));
      expect(await subscribe(wrong)).toBe("too-many-requests");
      expect(await publish("x")).toBe("too-many-requests");
    });

    test("tickets count, and the domain is left alone from then on", async () => {
      const path = `${SUB}?ticket=${"t".repeat(43)}`;
      const topic = new ScriptedTopic("admitted");
      for (let n = 0; n <= LIMIT; n++) expect(await connect(path, topic)).toBe("ticket-rejected");
      expect(domain.calls).toHaveLength(LIMIT + 1);
      expect(await connect(path, topic)).toBe("too-many-requests");
      expect(domain.calls).toHaveLength(LIMIT + 1);
    });

    test("tokens do not have the key store asked while their client is blocked", async () => {
      await guess(LIMIT + 1);
      postgres.asked.length = 0;
      expect(await subscribe(await token())).toBe("too-many-requests");
      expect(await subscribe(await token(SECRET, crypto.randomUUID()))).toBe("too-many-requests");
      expect(postgres.asked).toEqual([]);
    });

    test("a good token opens where its domain is remembered", async () => {
      expect(await subscribe(await token())).toBe(null);
      await guess(LIMIT + 1);
      postgres.asked.length = 0;
      expect(await subscribe(await token())).toBe(null);
      vi.advanceTimersByTime(15_000);
      await guess(1);
      postgres.asked.length = 0;
      expect(await subscribe(await token())).toBe("too-many-requests");
      expect(postgres.asked).toEqual([]);
    });

    test("a key that was good within the hour opens, however long ago it was asked for", async () => {
      const other = crypto.randomUUID();
      expect(await publish("key", other)).toBe(null);
      vi.advanceTimersByTime(18_000);
      await guess(LIMIT + 1);
      expect(await publish("x")).toBe("too-many-requests");
      expect(await publish("key")).toBe(null);
      vi.advanceTimersByTime(HOUR_MS - 1);
      await guess(LIMIT + 1);
      expect(await publish("key")).toBe(null);
    });

    test("a key that was good longer ago is like any other", async () => {
      expect(await publish("key")).toBe(null);
      vi.advanceTimersByTime(HOUR_MS);
      await guess(LIMIT + 1);
      expect(await publish("key")).toBe("too-many-requests");
    });

    test("an operator's change does not make a good key unknown", async () => {
      expect(await publish("key")).toBe(null);
      const store = openKeyStore(postgres.env(env));
      if (store.ok) store.value.forgetDomain("acme");
      await guess(LIMIT + 1);
      expect(await publish("key")).toBe(null);
    });

    test("a key that has ended is asked for once more, and then no better than others", async () => {
      expect(await publish("key")).toBe(null);
      key.state = "revoked";
      vi.advanceTimersByTime(15_000);
      await guess(LIMIT + 1);
      expect(await publish("key")).toBe("key-rejected");
      postgres.asked.length = 0;
      expect(await publish("key")).toBe("too-many-requests");
      expect(postgres.asked).toEqual([]);
    });

    test("another client is not concerned, and this one may try again after a while", async () => {
      await guess(LIMIT + 1);
      expect(await publish("x", crypto.randomUUID())).toBe("key-rejected");
      vi.advanceTimersByTime(9999);
      expect(await publish("x")).toBe("too-many-requests");
      vi.advanceTimersByTime(1);
      expect(await publish("x")).toBe("key-rejected");
    });
  });

  describe("14.10 domains that nobody knows", () => {
    test("are counted, and cost no query when there were too many", async () => {
      await lookUp(LIMIT + 1);
      expect(postgres.asked).toHaveLength(LIMIT + 1);
      expect(await look("one-more")).toBe("too-many-requests");
      expect(postgres.asked).toHaveLength(LIMIT + 1);
      vi.advanceTimersByTime(10_000);
      expect(await look("one-more")).toBe("topic-not-live");
    });

    test("are no failed credentials", async () => {
      await lookUp(LIMIT + 1);
      expect(await publish("key")).toBe(null);
      expect(await publish("x")).toBe("key-rejected");
    });

    test("cost the topic one request, not two", async () => {
      const topic = new ScriptedTopic(POLICY, NOT_LIVE);
      expect(await look("made-up", topic)).toBe("topic-not-live");
      expect(topic.heard).toHaveLength(1);
    });

    test("are remembered for 15 seconds, in which they cost and count nothing", async () => {
      for (let n = 0; n <= LIMIT; n++) expect(await look("made-up")).toBe("topic-not-live");
      expect(postgres.asked).toHaveLength(1);
      expect(await look("other")).toBe("topic-not-live");
      vi.advanceTimersByTime(15_000);
      postgres.addKey({ keyId: 8, text: "new", domain: "made-up" });
      expect(await look("made-up", new ScriptedTopic(POLICY, "admitted"))).toBe(null);
    });

    test("are not given for known out of what is stale", async () => {
      expect(await look("made-up")).toBe("topic-not-live");
      vi.advanceTimersByTime(15_000);
      postgres.isDown = true;
      expect(await look("made-up")).toBe("key-store-unavailable");
    });

    test("a live topic admits whoever has asked for too many, and so does what is known", async () => {
      expect(await look("acme")).toBe("topic-not-live");
      vi.advanceTimersByTime(18_000);
      await lookUp(LIMIT + 1);
      expect(await look("live", new ScriptedTopic("admitted"))).toBe(null);
      expect(await look("acme")).toBe("topic-not-live");
    });

    test.each([
      ["a row", (name: string) => void postgres.domains.set(name, {})],
      ["a key", (name: string) => void postgres.addKey({ keyId: 9, text: name, domain: name })],
    ])("a domain with %s is none of them, though its topics are not live", async (_, add) => {
      for (let n = 0; n <= LIMIT; n++) {
        add(`known-${n}`);
        const topic = new ScriptedTopic(POLICY, NOT_LIVE);
        expect(await look(`known-${n}`, topic)).toBe("topic-not-live");
        expect(topic.heard).toHaveLength(2);
      }
      add("one-more");
      expect(await look("one-more")).toBe("topic-not-live");
      expect(await publish("x")).toBe("key-rejected");
    });

    test("who was let in by a ticket is never counted", async () => {
      await lookUp(LIMIT + 1);
      const grant = { keyId: null, subject: "user", expiresAtMs: null, checkedAtMs: 1 };
      domain = new ScriptedDomain({ takeTicket: grant });
      const path = `/ws/sub/elsewhere/news?ticket=${"t".repeat(43)}`;
      expect(await connect(path, new ScriptedTopic(POLICY, NOT_LIVE))).toBe("topic-not-live");
    });
  });
});
