/** PROTOCOL.md, section 18, by Node's fetch: a topic's messages as pages, at once or after a wait. */
import { SignJWT } from "jose";
import { describe, expect, inject, test } from "vitest";
import { databaseUrl, freshDomain, freshKey } from "../support/addresses.ts";
import { admin } from "../support/admin.ts";
import { startBareHub } from "../support/bare-hub.ts";
import { open, ownAddress } from "../support/client.ts";
import { documentBlock } from "../support/document-block.ts";
import { startProgram } from "../support/process.ts";
import { noteSecret } from "../support/secrets.ts";
import { StreamPublisher } from "../support/stream-client.ts";
import { bearer } from "../support/versions/tenant.ts";

const { url, sqlEndpoint } = inject("hub");
const SECRET = noteSecret("signing secret", "a secret of at least 32 characters, for tests");
const KEPT = { history_messages: 1000, history_seconds: 3600, history_delay_ms: 0 };

interface Place {
  readonly domain: string;
  readonly key: string;
  readonly topic: string;
  readonly pub: string;
  readonly sub: string;
  readonly messages: string;
}

async function freshPlace(policy: Parameters<typeof freshDomain>[0] = KEPT): Promise<Place> {
  const { domain, key } = await freshDomain(policy);
  const topic = crypto.randomUUID();
  const messages = `${url.replace(/^ws/, "http")}/v1/domains/${domain}/topics/${topic}/messages`;
  return {
    domain,
    key,
    topic,
    messages,
    pub: `${url}/ws/pub/${domain}/${topic}`,
    sub: `${url}/ws/sub/${domain}/${topic}`,
  };
}

interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Record<string, unknown>;
}

async function get(to: string, headers: Record<string, string> = {}): Promise<Answer> {
  const response = await fetch(to, { headers: { "CF-Connecting-IP": ownAddress(), ...headers } });
  return {
    status: response.status,
    headers: response.headers,
    body: (await response.json()) as Record<string, unknown>,
  };
}

/** How many subscribers the topic has, as the operator sees it. */
async function subscribersOf({ domain, topic, key }: Place): Promise<unknown> {
  return (await admin("GET", `${domain}/topics/${topic}`, key)).body["subscribers"];
}

describe.runIf(sqlEndpoint !== null)("a page", () => {
  test("18.2 has what the log has, and where to go on", async () => {
    const place = await freshPlace();
    const publisher = await StreamPublisher.open(place.pub, bearer(place.key));
    const first = await publisher.publish(["a", Buffer.from([0, 255, 128])]);
    const last = await publisher.publish(["c"]);
    const { status, headers, body } = await get(place.messages);
    expect(status).toBe(200);
    expect(headers.get("Content-Type")).toBe("application/json");
    expect(headers.get("Cache-Control")).toBe("no-store");
    expect(headers.get("Vary")).toContain("Accept");
    expect(headers.get("Access-Control-Allow-Origin")).toBe("*");
    expect(body).toMatchObject({
      cursor: last,
      gap: null,
      more: false,
      messages: ["a", { base64: "AP+A" }, "c"],
    });
    const page = await get(`${place.messages}?since=earliest&limit=2`);
    expect(page.body).toMatchObject({ cursor: first, more: true });
    expect((await get(`${place.messages}?since=${first}`)).body).toMatchObject({ messages: ["c"] });
    expect(await subscribersOf(place)).toBe(0);
    const head = await fetch(`${place.messages}?since=${last}&wait=60`, { method: "HEAD" });
    expect([head.status, await head.text()]).toEqual([200, ""]);
  });

  test("18.4 is refused as a subscriber would be, and says what is wrong with a parameter", async () => {
    const place = await freshPlace();
    const problem = async (
      query: string,
      headers: Record<string, string> = {},
    ): Promise<unknown> => {
      const { status, body } = await get(place.messages + query, headers);
      return `${status} ${String(body["type"]).split(":").at(-1)}: ${String(body["detail"])}`;
    };
    expect(await problem("")).toMatch(/^404 topic-not-live/);
    expect(await problem("?since=yesterday")).toMatch(/^400 invalid-parameter: "since" must be/);
    for (const limit of ["0", "1001", "-1", "1.5", "", "many"]) {
      expect(await problem(`?limit=${limit}`)).toMatch(
        /^400 invalid-parameter: "limit" must be .* 1 to 1000/,
      );
    }
    expect(await problem("?wait=61")).toMatch(/^400 invalid-parameter: "wait" must be .* 0 to 60/);
    expect(await problem("?token=x")).toMatch(/^400 invalid-parameter: "token" is not taken/);
    expect(await problem("?ticket=x")).toMatch(
      /^400 invalid-parameter: "ticket" opens a WebSocket/,
    );
    expect(await problem("", bearer("wrong"))).toMatch(/^401 key-rejected/);
    expect(await problem("", { Authorization: "Bearer" })).toMatch(/^401 key-rejected/);
    expect(await problem("", { Accept: "text/html" })).toMatch(/^406 not-acceptable/);
  });

  test("18.4 of a private domain is for keys and tokens that open it", async () => {
    const place = await freshPlace({ ...KEPT, subscribers: "token", token_secret: SECRET });
    const publisher = await StreamPublisher.open(place.pub, bearer(place.key));
    await publisher.publish(["a"]);
    expect((await get(place.messages)).status).toBe(401);
    const tokenFor = (topic: string): Promise<string> =>
      new SignJWT({
        authorization_details: [{ type: "wspubsub", actions: ["subscribe"], topics: [topic] }],
      })
        .setProtectedHeader({ alg: "HS256" })
        .setAudience(`wspubsub:${place.domain}`)
        .setSubject("reader")
        .setExpirationTime("1m")
        .sign(new TextEncoder().encode(SECRET));
    const [mine, others] = [await tokenFor(place.topic), await tokenFor("another")];
    expect((await get(place.messages, bearer(mine))).body).toMatchObject({ messages: ["a"] });
    expect((await get(place.messages, bearer(others))).status).toBe(401);
    expect((await get(place.messages, bearer(place.key))).body).toMatchObject({ messages: ["a"] });
  });

  test("18.4 is not for a key that was revoked", async () => {
    const place = await freshPlace({ ...KEPT, subscribers: "token" });
    const publisher = await StreamPublisher.open(place.pub, bearer(place.key));
    await publisher.publish(["a"]);
    const { key, id } = await freshKey(place.domain);
    expect((await get(place.messages, bearer(key))).status).toBe(200);
    const revoked = await admin("DELETE", `${place.domain}/keys/${id}`);
    expect(revoked.status).toBe(200);
    expect((await get(place.messages, bearer(key))).status).toBe(401);
  });

  test("18.5 waits for the first message, and then has it", async () => {
    const place = await freshPlace({ ...KEPT, publishers: "shared" });
    const waiting = get(`${place.messages}?wait=60`);
    await expect.poll(() => subscribersOf(place)).toBe(1);
    const publisher = await StreamPublisher.open(place.pub, bearer(place.key));
    const cursor = await publisher.publish(["a", "b"]);
    expect((await waiting).body).toMatchObject({ cursor, messages: ["a", "b"], more: false });
    await expect.poll(() => subscribersOf(place)).toBe(0);
    const next = get(`${place.messages}?since=${cursor}&wait=60&limit=1`);
    await expect.poll(() => subscribersOf(place)).toBe(1);
    await publisher.publish(["c"]);
    expect((await next).body).toMatchObject({ messages: ["c"] });
  });

  test("18.5 that nothing came for is empty, and begins where it began", async () => {
    const place = await freshPlace();
    const publisher = await StreamPublisher.open(place.pub, bearer(place.key));
    const cursor = await publisher.publish(["a"]);
    const { status, body } = await get(`${place.messages}?since=${cursor}&wait=1`);
    expect(status).toBe(200);
    expect(body).toEqual({ cursor, gap: null, more: false, end: null, at: [], messages: [] });
  });

  test("18.5 that is not waited for any more takes no place", async () => {
    const place = await freshPlace({ ...KEPT, publishers: "shared" });
    // Without the proxy of `wrangler dev`, which goes on reading for a client that has left.
    const bare = await startBareHub({ env: { DATABASE_URL: databaseUrl() } });
    try {
      const to = place.messages.replace(/^http:\/\/[^/]+/, bare.url);
      const subscribers = async (): Promise<unknown> =>
        (await get(to.replace(/\/messages$/, ""), bearer(place.key))).body["subscribers"];
      const left = new AbortController();
      const waiting = await fetch(`${to}?wait=60`, { signal: left.signal });
      expect(waiting.status).toBe(200);
      expect(await subscribers()).toBe(1);
      left.abort();
      // What it is sent meanwhile shows that it has left.
      await expect.poll(subscribers, { timeout: 20_000 }).toBe(0);
    } finally {
      await bare.stop();
    }
  });

  test("18.5 takes a place while it waits", async () => {
    const place = await freshPlace({ ...KEPT, publishers: "shared", max_subscribers: 1 });
    await open(place.sub);
    const { status, body } = await get(`${place.messages}?wait=1`);
    expect([status, body["type"]]).toEqual([503, "urn:wspubsub:problem:too-many-subscribers"]);
    expect((await get(place.messages)).status).toBe(200);
  });

  test("18.4 another method is told which there are, a page elsewhere may ask", async () => {
    const place = await freshPlace();
    const put = await fetch(place.messages, { method: "PUT" });
    expect([put.status, put.headers.get("Allow")]).toEqual([
      405,
      "GET, HEAD, POST, DELETE, OPTIONS",
    ]);
    const asks = { Origin: "https://page.example", "Access-Control-Request-Method": "GET" };
    const options = await fetch(place.messages, { method: "OPTIONS", headers: asks });
    expect(options.status).toBe(204);
    expect(options.headers.get("Access-Control-Allow-Methods")).toContain("GET");
  });
});

describe.runIf(sqlEndpoint !== null)("README's pages with curl", () => {
  test("18.2 are what it says", async () => {
    const script = await documentBlock("README.md", "read");
    const place = await freshPlace({ ...KEPT, publishers: "shared" });
    const publisher = await StreamPublisher.open(place.pub, bearer(place.key));
    for (const message of ["1", "2", "3"]) await publisher.publish([message]);
    const [written = ""] = /http:\S+/.exec(script) ?? [];
    const program = startProgram("sh", ["-ec", script.replace(written, place.messages)]);
    expect(await program.exited).toBe(0);
    const pages = program.output().match(/\{"cursor".*?\]\}/g) ?? [];
    expect(pages.map((page) => JSON.parse(page).messages)).toEqual([["1", "2"], ["3"]]);
  });
});

describe.runIf(sqlEndpoint !== null)("a topic that is deleted", () => {
  test("15.10 by a key of its domain, or the admin, and by nobody else", async () => {
    const place = await freshPlace({ ...KEPT, token_secret: SECRET, token_publishers: true });
    const path = `${place.domain}/topics/${place.topic}`;
    expect((await admin("DELETE", path, place.key)).status).toBe(404);
    const publisher = await open(place.pub, [], bearer(place.key));
    const subscriber = await open(place.sub);
    const token = await new SignJWT({
      authorization_details: [{ type: "wspubsub", actions: ["publish"], topics: [place.topic] }],
    })
      .setProtectedHeader({ alg: "HS256" })
      .setAudience(`wspubsub:${place.domain}`)
      .setSubject("user")
      .setExpirationTime("1m")
      .sign(new TextEncoder().encode(SECRET));
    for (const credential of [null, token, "another key"]) {
      expect((await admin("DELETE", path, credential)).status).toBe(401);
    }
    const { status, headers, body } = await admin("DELETE", path, place.key);
    expect([status, body]).toEqual([
      200,
      { domain: place.domain, topic: place.topic, ended: true },
    ]);
    expect(headers.get("Access-Control-Allow-Origin")).toBeNull();
    expect(await publisher.next()).toMatchObject({
      type: "close",
      code: 4504,
      reason: "topic-deleted",
    });
    expect(await subscriber.next()).toMatchObject({
      type: "close",
      code: 1000,
      reason: "topic-deleted",
    });
  });
});
