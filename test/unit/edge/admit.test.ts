/** PROTOCOL.md, sections 4, 12 and 13: the turns that edge and topic take until a socket is let in or is not. */
import { createExecutionContext, waitOnExecutionContext } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { SignJWT } from "jose";
import { beforeEach, describe, expect, test, vi } from "vitest";
import type { Answer, RefusalSlug } from "../../../src/core/admission.ts";
import { upgrade } from "../../../src/edge/upgrade.ts";
import { FakePostgres, type FakeKey } from "./support/fake-postgres.ts";
import { ScriptedDomain, ScriptedTopic } from "./support/scripted-objects.ts";

const HANDSHAKE = { Upgrade: "websocket", "Sec-WebSocket-Version": "13" };
const SECRET = "a secret of at least 32 characters, for tests";
const POLICY: Answer = { type: "needs", what: "policy" };
const RECHECK: Answer = { type: "needs", what: "recheck" };
const SUB = "/ws/sub/acme/news";
const PUB = "/ws/pub/acme/news";
const BY_KEY = { Authorization: "Bearer key" };

function refused(slug: RefusalSlug): Answer {
  return { type: "refused", slug };
}

/** A refusal as the version before writes it. */
function before(refusal: string): Response {
  return new Response(null, { status: 409, headers: { "wspubsub-refusal": refusal } });
}

async function token(
  subject = "user",
  actions: readonly string[] = ["subscribe"],
): Promise<string> {
  return new SignJWT({
    authorization_details: [{ type: "wspubsub", actions, topics: ["*"] }],
  })
    .setProtectedHeader({ alg: "HS256" })
    .setAudience("wspubsub:acme")
    .setSubject(subject)
    .setExpirationTime("1h")
    .sign(new TextEncoder().encode(SECRET));
}

async function byToken(...actions: string[]): Promise<Record<string, string>> {
  return { Authorization: `Bearer ${await token("user", actions)}` };
}

async function slugOf(response: Response): Promise<string> {
  const { type } = await response.json<{ type: string }>();
  return type.replace("urn:wspubsub:problem:", "");
}

describe("admission", () => {
  let postgres: FakePostgres;
  let key: FakeKey;

  beforeEach(() => {
    postgres = new FakePostgres();
    key = postgres.addKey({ keyId: 7, text: "key", domain: "acme" });
    postgres.domains.set("acme", { tokenSecret: SECRET });
  });

  async function connect(
    path: string,
    topic: ScriptedTopic,
    headers: Record<string, string> = {},
    domain: ScriptedDomain = new ScriptedDomain({}),
  ): Promise<Response> {
    const ctx = createExecutionContext();
    const request = new Request(`https://hub.test${path}`, {
      headers: { ...HANDSHAKE, "CF-Connecting-IP": crypto.randomUUID(), ...headers },
    });
    const objects = { TOPIC: topic.namespace, DOMAIN: domain.namespace };
    const response = await upgrade(request, { ...postgres.env(env), ...objects }, ctx);
    await waitOnExecutionContext(ctx);
    return response;
  }

  test("a publisher's admission says what its key and its domain are, since when, and where the key stood", async () => {
    const topic = new ScriptedTopic("admitted");
    const { nowMs } = postgres;
    expect((await connect(PUB, topic, BY_KEY)).status).toBe(101);
    await connect("/ws/pub/key/acme/news?takeover=1", topic);
    expect(topic.heard).toMatchObject([
      {
        role: "publisher",
        takeover: false,
        grant: { keyId: 7, subject: null, expiresAtMs: null, checkedAtMs: nowMs },
        policy: { publishers: "exclusive" },
        policyAtMs: nowMs,
        isKeyInPath: false,
        isFresh: true,
      },
      { takeover: true, isKeyInPath: true, isFresh: false },
    ]);
    expect(postgres.asked).toEqual(["check-key"]);
  });

  test("an admission says from which country its client comes, as Cloudflare has it", async () => {
    const topic = new ScriptedTopic("admitted");
    for (const [path, country] of [
      [PUB, "AT"],
      [SUB, "T1"],
      [SUB, "made up"],
    ] as const) {
      await upgrade(
        new Request(`https://hub.test${path}`, {
          headers: { ...HANDSHAKE, ...BY_KEY },
          cf: { country } as unknown as RequestInitCfProperties,
        }),
        { ...postgres.env(env), TOPIC: topic.namespace },
        createExecutionContext(),
      );
    }
    expect(topic.heard.map(({ country }) => country)).toEqual(["AT", "T1", undefined]);
  });

  test("4.3 a subscriber of a live open topic costs no query", async () => {
    const topic = new ScriptedTopic("admitted");
    postgres.isDown = true;
    expect((await connect(SUB, topic)).status).toBe(101);
    expect(topic.heard).toMatchObject([{ grant: null, policy: null, isFresh: false }]);
    expect(postgres.asked).toEqual([]);
  });

  test("13.3 a token's subject goes with the grant, whatever it is written in", async () => {
    const topic = new ScriptedTopic("admitted");
    const { nowMs } = postgres;
    await connect(SUB, topic, { Authorization: `Bearer ${await token("Zoë ☃")}` });
    expect(topic.heard).toMatchObject([
      {
        grant: { keyId: null, subject: "Zoë ☃", checkedAtMs: nowMs },
        policyAtMs: nowMs,
        isFresh: true,
      },
    ]);
  });

  test("a request that shares another's query does not keep it alive: the runtime would call it hung", async () => {
    const kept = vi.fn<(work: Promise<unknown>) => void>();
    const objects = { TOPIC: new ScriptedTopic("admitted").namespace };
    const answers = Array.from({ length: 3 }, () =>
      upgrade(
        new Request(`https://hub.test${PUB}`, { headers: { ...HANDSHAKE, ...BY_KEY } }),
        { ...postgres.env(env), ...objects },
        { waitUntil: kept },
      ),
    );
    expect((await Promise.all(answers)).map(({ status }) => status)).toEqual([101, 101, 101]);
    expect(postgres.asked).toEqual(["check-key"]);
    // The question, and the note that the key was used.
    expect([kept.mock.calls.length, postgres.uses]).toEqual([2, ["{7}"]]);
  });

  test("a topic that needs the policy gets it, out of memory where that will do", async () => {
    const topic = new ScriptedTopic(POLICY, "admitted", POLICY, "admitted");
    const { nowMs } = postgres;
    expect((await connect(SUB, topic)).status).toBe(101);
    postgres.nowMs += 1;
    expect((await connect(SUB, topic)).status).toBe(101);
    expect(topic.heard).toMatchObject([
      { policy: null, isFresh: false },
      { policy: {}, policyAtMs: nowMs, isFresh: true },
      { policy: null, isFresh: false },
      { policy: {}, policyAtMs: nowMs, isFresh: false },
    ]);
  });

  describe.each([
    ["a publisher", PUB, "check-key", () => Promise.resolve(BY_KEY)],
    ["a subscriber by key", SUB, "check-key", () => Promise.resolve(BY_KEY)],
    [
      "a subscriber by token",
      SUB,
      "find-domain",
      async () => ({ Authorization: `Bearer ${await token()}` }),
    ],
    ["an anonymous subscriber", SUB, "find-domain", () => Promise.resolve({})],
  ] as const)("%s that must be rechecked", (_, path, query, credential) => {
    test("12.9 is asked for anew, although it is remembered", async () => {
      const headers = await credential();
      await connect(path, new ScriptedTopic(POLICY, "admitted"), headers);
      postgres.asked.length = 0;
      postgres.nowMs += 1000;
      const topic = new ScriptedTopic(RECHECK, "admitted");
      expect((await connect(path, topic, headers)).status).toBe(101);
      expect(topic.heard).toMatchObject([
        { isFresh: false },
        { isFresh: true, policyAtMs: postgres.nowMs },
      ]);
      const { nowMs } = postgres;
      expect(topic.heard[1]?.grant?.checkedAtMs ?? nowMs).toBe(nowMs);
      expect(postgres.asked).toEqual([query]);
    });

    test("12.9 is not let in by what is remembered while Postgres is down", async () => {
      const headers = await credential();
      await connect(path, new ScriptedTopic(POLICY, "admitted"), headers);
      postgres.isDown = true;
      const topic = new ScriptedTopic(RECHECK, "admitted");
      expect(await slugOf(await connect(path, topic, headers))).toBe("key-store-unavailable");
      expect(topic.heard).toHaveLength(1);
    });
  });

  test("12.9 a recheck that finds a key revoked refuses it", async () => {
    await connect(PUB, new ScriptedTopic("admitted"), BY_KEY);
    key.state = "revoked";
    const topic = new ScriptedTopic(RECHECK, "admitted");
    expect(await slugOf(await connect(PUB, topic, BY_KEY))).toBe("key-rejected");
  });

  test("12.5 a recheck that finds a domain without keys in paths refuses those", async () => {
    await connect("/ws/pub/key/acme/news", new ScriptedTopic("admitted"));
    postgres.domains.set("acme", { pathKeys: false });
    const topic = new ScriptedTopic(RECHECK, "admitted");
    const response = await connect("/ws/pub/key/acme/news", topic);
    expect(await slugOf(response)).toBe("key-in-path");
  });

  test("13.5 a ticket cannot be rechecked: it was used up", async () => {
    const grant = { keyId: 7, subject: null, expiresAtMs: null, checkedAtMs: postgres.nowMs };
    const domain = new ScriptedDomain({ tryTicket: { grant, untilMs: postgres.nowMs + 30_000 } });
    const path = `${SUB}?ticket=${"t".repeat(43)}`;
    const topic = new ScriptedTopic(POLICY, RECHECK, "admitted");
    expect(await slugOf(await connect(path, topic, {}, domain))).toBe("ticket-rejected");
    expect(topic.heard).toMatchObject([
      { grant, policy: null, isFresh: false },
      // The policy was asked for, the grant was not.
      { grant, policy: {}, isFresh: false },
    ]);
    expect(domain.calls).toHaveLength(1);
  });

  describe("a ticket whose topic does not take it", () => {
    const TICKET = `${SUB}?ticket=${"t".repeat(43)}`;
    const entry = {
      grant: { keyId: 7, subject: null, expiresAtMs: null, checkedAtMs: 1_800_000_000_000 },
      untilMs: 1_800_000_030_000,
    };

    test.each([
      "topic-not-live",
      "too-many-subscribers",
      "too-many-topics",
      "topic-full",
      "topic-unavailable",
    ] as const)("13.7 is given back as it was: %s", async (slug) => {
      const domain = new ScriptedDomain({ tryTicket: entry, giveTicketBack: undefined });
      const response = await connect(TICKET, new ScriptedTopic(refused(slug)), {}, domain);
      expect(await slugOf(response)).toBe(slug);
      const [[, hash] = []] = domain.calls;
      expect(domain.calls).toEqual([
        ["tryTicket", expect.any(String), "news"],
        ["giveTicketBack", hash, "news", entry],
      ]);
    });

    test("13.7 is given back when the key store does not say the policy", async () => {
      postgres.isDown = true;
      const domain = new ScriptedDomain({ tryTicket: entry, giveTicketBack: undefined });
      const response = await connect(TICKET, new ScriptedTopic(POLICY), {}, domain);
      expect(await slugOf(response)).toBe("key-store-unavailable");
      expect(domain.calls.map(([name]) => name)).toEqual(["tryTicket", "giveTicketBack"]);
    });

    test("13.7 is given back when the topic fails", async () => {
      const domain = new ScriptedDomain({ tryTicket: entry, giveTicketBack: undefined });
      await expect(connect(TICKET, new ScriptedTopic(), {}, domain)).rejects.toThrow("script");
      expect(domain.calls.map(([name]) => name)).toEqual(["tryTicket", "giveTicketBack"]);
    });

    test("13.7 is lost when the domain fails, and the refusal is the same", async () => {
      const domain = new ScriptedDomain({ tryTicket: entry, giveTicketBack: new Error("Reset") });
      const topic = new ScriptedTopic(refused("topic-not-live"));
      expect(await slugOf(await connect(TICKET, topic, {}, domain))).toBe("topic-not-live");
      expect(domain.calls).toHaveLength(2);
    });

    test.each([
      ["whose key is dead", refused("key-rejected"), "key-rejected"],
      ["whose key is in doubt", RECHECK, "ticket-rejected"],
      ["whose token has ended", refused("token-expired"), "token-expired"],
    ])("13.7 is used up where it is one %s", async (_, answer, slug) => {
      const domain = new ScriptedDomain({ tryTicket: entry, giveTicketBack: undefined });
      const response = await connect(TICKET, new ScriptedTopic(answer), {}, domain);
      expect(await slugOf(response)).toBe(slug);
      expect(domain.calls.map(([name]) => name)).toEqual(["tryTicket"]);
    });

    test("13.7 is used up by the 101", async () => {
      const domain = new ScriptedDomain({ tryTicket: entry, giveTicketBack: undefined });
      const topic = new ScriptedTopic(POLICY, "admitted");
      expect((await connect(TICKET, topic, {}, domain)).status).toBe(101);
      expect(domain.calls.map(([name]) => name)).toEqual(["tryTicket"]);
    });

    test("a domain of the version before uses it up", async () => {
      const domain = new ScriptedDomain({ takeTicket: entry.grant });
      const topic = new ScriptedTopic(refused("topic-not-live"));
      expect(await slugOf(await connect(TICKET, topic, {}, domain))).toBe("topic-not-live");
      expect(topic.heard).toMatchObject([{ grant: entry.grant }]);
      expect(domain.calls.map(([name]) => name)).toEqual(["takeTicket"]);
    });
  });

  test("4.2 a key that the topic rejects is answered byte for byte like one that the edge rejects", async () => {
    const unknown = await connect(PUB, new ScriptedTopic("admitted"), {
      Authorization: "Bearer x",
    });
    const known = await connect(PUB, new ScriptedTopic(refused("key-rejected")), BY_KEY);
    expect(await known.text()).toBe(await unknown.text());
    expect([...known.headers]).toEqual([...unknown.headers]);
  });

  test("12.5 the same holds for a key in the path", async () => {
    const path = "/ws/pub/key/acme/news";
    const byTopic = await connect(path, new ScriptedTopic(refused("key-in-path")));
    postgres.domains.set("acme", { pathKeys: false });
    const byEdge = await connect(path, new ScriptedTopic(RECHECK, "admitted"));
    expect(byEdge.status).toBe(403);
    expect(await byTopic.text()).toBe(await byEdge.text());
  });

  test.each([
    ["topic-not-live", 404],
    ["publisher-conflict", 409],
    ["token-required", 401],
    ["too-many-publishers", 503],
    ["too-many-subscribers", 503],
    ["too-many-topics", 503],
    ["topic-full", 503],
    ["topic-unavailable", 503],
    ["token-expired", 401],
    ["token-publishers-off", 403],
  ] as const)("4.1 what the topic refuses is a problem: %s", async (slug, status) => {
    const response = await connect(SUB, new ScriptedTopic(refused(slug)));
    expect(response.status).toBe(status);
    expect(await slugOf(response)).toBe(slug);
  });

  test.each([
    ["needs a policy", POLICY],
    ["needs a recheck", RECHECK],
  ])("a topic that always %s is asked four times, then called unavailable", async (_, answer) => {
    for (const [path, headers] of [
      [SUB, {}],
      [SUB, BY_KEY],
      [PUB, BY_KEY],
    ] as const) {
      const topic = new ScriptedTopic(answer);
      expect(await slugOf(await connect(path, topic, headers))).toBe("topic-unavailable");
      expect(topic.heard).toHaveLength(4);
    }
  });

  test.each([
    ["nothing", {}],
    ["an answer of a version to come", { "wspubsub-answer": '{"type":"moved"}' }],
    ["no JSON", { "wspubsub-answer": "{" }],
    ["a refusal of a version to come", { "wspubsub-refusal": "moved" }],
  ])("a topic that answers with %s is unavailable", async (_, headers) => {
    const topic = new ScriptedTopic(new Response(null, { status: 500, headers }));
    expect(await slugOf(await connect(SUB, topic))).toBe("topic-unavailable");
  });

  test("a topic of the version before is understood", async () => {
    const topic = new ScriptedTopic(before("key-stale"), before("policy-needed"), "admitted");
    expect((await connect(SUB, topic, BY_KEY)).status).toBe(101);
    expect(topic.heard).toHaveLength(3);
  });

  describe("a topic that ends while somebody connects", () => {
    const reset = Object.assign(new Error("The topic has ended"), { durableObjectReset: true });

    test.each([
      ["a mark", reset],
      ["a deployment", new Error("Durable Object reset because its code was updated.")],
      ["a shutdown", new Error("Object is shutting down")],
    ])("is asked once more: %s", async (_, error) => {
      const topic = new ScriptedTopic(error, "admitted");
      expect((await connect(SUB, topic)).status).toBe(101);
      expect(topic.heard).toHaveLength(2);
    });

    test("is not asked for ever", async () => {
      const topic = new ScriptedTopic(reset);
      await expect(connect(SUB, topic)).rejects.toThrow("The topic has ended");
      expect(topic.heard).toHaveLength(2);
    });

    test.each([
      ["a bug", new TypeError("x is undefined")],
      [
        "an overload",
        Object.assign(new Error("reset"), { overloaded: true, durableObjectReset: true }),
      ],
      ["what the runtime has tried again", Object.assign(new Error("lost"), { retryable: true })],
    ])("is not asked once more for another reason: %s", async (_, error) => {
      const topic = new ScriptedTopic(error, "admitted");
      await expect(connect(SUB, topic)).rejects.toThrow(error.message);
      expect(topic.heard).toHaveLength(1);
    });

    test("13.5 a domain that ends is asked once more for a ticket", async () => {
      const grant = { keyId: 7, subject: null, expiresAtMs: null, checkedAtMs: postgres.nowMs };
      const answers: unknown[] = [reset, grant];
      const domain = new ScriptedDomain({ takeTicket: () => answers.shift() });
      const path = `${SUB}?ticket=${"t".repeat(43)}`;
      expect((await connect(path, new ScriptedTopic("admitted"), {}, domain)).status).toBe(101);
    });
  });

  describe("13.12 a publisher by a token", () => {
    const TAKEN = { tokenSecret: SECRET, tokenPublishers: true };

    test("is admitted with its subject and its end, where its domain takes one", async () => {
      postgres.domains.set("acme", TAKEN);
      const topic = new ScriptedTopic("admitted");
      expect((await connect(`${PUB}?takeover=1`, topic, await byToken("publish"))).status).toBe(
        101,
      );
      expect(topic.heard).toMatchObject([
        {
          role: "publisher",
          takeover: true,
          grant: { keyId: null, subject: "user", expiresAtMs: expect.any(Number) as unknown },
          policy: { tokenPublishers: true },
          policyAtMs: postgres.nowMs,
          isKeyInPath: false,
          isFresh: true,
        },
      ]);
      expect(postgres.asked).toEqual(["find-domain"]);
    });

    test.each([
      [PUB, ["subscribe"], "token-lacks-publish"],
      [SUB, ["publish"], "token-lacks-subscribe"],
      [PUB, [], "token-rejected"],
      [SUB, [], "token-rejected"],
    ])(
      "%s with the actions %j is refused, without asking the topic: %s",
      async (path, actions, slug) => {
        postgres.domains.set("acme", TAKEN);
        const topic = new ScriptedTopic("admitted");
        const response = await connect(path, topic, await byToken(...actions));
        expect(response.status).toBe(slug === "token-rejected" ? 401 : 403);
        expect(await slugOf(response)).toBe(slug);
        expect(topic.heard).toEqual([]);
      },
    );

    test("is refused where its domain takes none, in the same words by edge and topic", async () => {
      const topic = new ScriptedTopic("admitted");
      const byEdge = await connect(PUB, topic, await byToken("publish"));
      expect(byEdge.status).toBe(403);
      expect(topic.heard).toEqual([]);
      postgres.domains.set("acme", TAKEN);
      const off = new ScriptedTopic(refused("token-publishers-off"));
      const byTopic = await connect(PUB, off, await byToken("publish"));
      const { detail } = await byTopic.clone().json<{ detail: string }>();
      expect(detail).toContain("domains set --token-publishers true");
      expect(await byTopic.text()).toBe(await byEdge.text());
    });

    test("13.10 is let in at once where its domain takes one since a moment ago", async () => {
      await connect(SUB, new ScriptedTopic("admitted"), await byToken("subscribe"));
      postgres.domains.set("acme", TAKEN);
      const topic = new ScriptedTopic("admitted");
      expect((await connect(PUB, topic, await byToken("publish"))).status).toBe(101);
      expect(postgres.asked).toEqual(["find-domain", "find-domain"]);
    });

    test("14.1 that is refused for what it may do is not counted, and asks Postgres no more than 13.10 says", async () => {
      const from = { "CF-Connecting-IP": crypto.randomUUID() };
      const [publishing, reading] = [await byToken("publish"), await byToken("subscribe")];
      const topic = new ScriptedTopic("admitted");
      for (let n = 0; n < 40; n++) {
        const off = await connect(PUB, topic, { ...publishing, ...from });
        expect(await slugOf(off)).toBe("token-publishers-off");
        const lacks = await connect(PUB, topic, { ...reading, ...from });
        expect(await slugOf(lacks)).toBe("token-lacks-publish");
      }
      expect(postgres.asked.length).toBeLessThan(10);
      const unknown = { Authorization: "Bearer unknown", ...from };
      expect((await connect(PUB, topic, unknown)).status).toBe(401);
    });

    test("12.1 is known in a subprotocol, and a token in the path is a key that there is not", async () => {
      postgres.domains.set("acme", TAKEN);
      const topic = new ScriptedTopic("admitted");
      const text = await token("user", ["publish"]);
      const offered = { "Sec-WebSocket-Protocol": `wspubsub.v1, ${text}` };
      expect((await connect(PUB, topic, offered)).status).toBe(101);
      expect(topic.heard).toMatchObject([{ subprotocol: "wspubsub.v1" }]);
      const inPath = await connect(`/ws/pub/${text}/acme/news`, topic);
      expect(await slugOf(inPath)).toBe("key-rejected");
    });

    test("has to wait for a topic of the version before, which cannot read its admission", async () => {
      postgres.domains.set("acme", TAKEN);
      const unread = new Error("Invalid type: Expected 1 but received 2");
      const response = await connect(PUB, new ScriptedTopic(unread), await byToken("publish"));
      expect(await slugOf(response)).toBe("topic-unavailable");
      expect(response.headers.get("Retry-After")).toBe("5");
    });

    describe("13.14 with a ticket", () => {
      const path = `${PUB}?ticket=${"t".repeat(43)}`;
      const grant = { keyId: null, subject: "user", expiresAtMs: 1, checkedAtMs: 5 };
      const untilMs = 1_800_000_030_000;
      const entry = { grant, untilMs };

      test("is admitted by its grant, and by the policy that is asked for", async () => {
        postgres.domains.set("acme", TAKEN);
        const domain = new ScriptedDomain({ tryTicket: entry });
        const topic = new ScriptedTopic("admitted");
        expect((await connect(path, topic, {}, domain)).status).toBe(101);
        const policy = { tokenPublishers: true };
        expect(topic.heard).toMatchObject([
          { role: "publisher", grant, policy, policyAtMs: postgres.nowMs, isFresh: true },
        ]);
      });

      test("tries another one than a subscriber with the same text", async () => {
        const domain = new ScriptedDomain({ tryTicket: null });
        for (const url of [path, path.replace("/pub/", "/sub/")]) {
          const response = await connect(url, new ScriptedTopic("admitted"), {}, domain);
          expect(await slugOf(response)).toBe("ticket-rejected");
        }
        const hashes = domain.calls.map(([, hash]) => hash);
        expect(new Set(hashes).size).toBe(2);
      });

      test("has only its policy rechecked", async () => {
        postgres.domains.set("acme", TAKEN);
        const domain = new ScriptedDomain({ tryTicket: entry });
        const topic = new ScriptedTopic(RECHECK, "admitted");
        expect((await connect(path, topic, {}, domain)).status).toBe(101);
        expect(topic.heard).toMatchObject([
          { grant, isRechecked: false },
          { grant, isRechecked: true, isFresh: true },
        ]);
        expect(postgres.asked).toEqual(["find-domain", "find-domain"]);
        expect(domain.calls).toHaveLength(1);
      });

      test("of a key is used up by a recheck: nobody can ask for the key", async () => {
        const ofKey = { tryTicket: { grant: { ...grant, keyId: 7 }, untilMs } };
        const topic = new ScriptedTopic(RECHECK, "admitted");
        const response = await connect(path, topic, {}, new ScriptedDomain(ofKey));
        expect(await slugOf(response)).toBe("ticket-rejected");
        // The policy was asked for, the key was not.
        expect(topic.heard).toMatchObject([{ grant: { keyId: 7 }, isFresh: false }]);
        expect(postgres.asked).toEqual(["find-domain"]);
      });

      test("13.7 gives it back when the topic refuses, and when nobody says the policy", async () => {
        const methods = { tryTicket: entry, giveTicketBack: undefined };
        for (const isDown of [false, true]) {
          postgres.isDown = isDown;
          const domain = new ScriptedDomain(methods);
          const topic = new ScriptedTopic(refused("publisher-conflict"));
          if (isDown) postgres.domains.clear();
          const response = await connect(
            path.replace("acme", isDown ? "other" : "acme"),
            topic,
            {},
            domain,
          );
          expect(await slugOf(response)).toBe(
            isDown ? "key-store-unavailable" : "publisher-conflict",
          );
          expect(domain.calls.map(([name]) => name)).toEqual(["tryTicket", "giveTicketBack"]);
        }
      });

      test("the key in the path counts first", async () => {
        const topic = new ScriptedTopic("admitted");
        const domain = new ScriptedDomain({});
        const url = `/ws/pub/key/acme/news?ticket=${"t".repeat(43)}`;
        expect((await connect(url, topic, {}, domain)).status).toBe(101);
        expect(topic.heard).toMatchObject([{ grant: { keyId: 7 }, isKeyInPath: true }]);
      });
    });
  });

  test("14.1 a key that the topic rejects counts as one that opens nothing", async () => {
    const from = { ...BY_KEY, "CF-Connecting-IP": crypto.randomUUID() };
    const topic = new ScriptedTopic(refused("key-rejected"));
    for (let n = 0; n < 31; n++) await connect(PUB, topic, from);
    const other = { ...from, Authorization: "Bearer other" };
    expect((await connect(PUB, topic, other)).status).toBe(429);
    // Good ones still open from there.
    expect((await connect(PUB, new ScriptedTopic(RECHECK, "admitted"), from)).status).toBe(101);
  });
});
