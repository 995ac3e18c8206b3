/** PROTOCOL.md, sections 1, 2 and 4, as bytes on the wire of a real hub. */
import { describe, expect, inject, test } from "vitest";
import { freshDomain, freshTopic, sql, topicUrls } from "../support/addresses.ts";
import { open, refused } from "../support/client.ts";
import { handshake, OPCODE, RawSocket } from "../support/raw-socket.ts";

const hub = inject("hub");
const isLocal = hub.sqlEndpoint !== null;

/** Sends a request line and headers as they are, returns the response's head. */
async function ask(request: string): Promise<string> {
  const raw = await RawSocket.to(hub.url);
  raw.write(request);
  const head = await raw.head();
  raw.destroy();
  return head;
}

function problemOf(refusal: { body: string }): Record<string, unknown> {
  return JSON.parse(refusal.body);
}

describe("refusals", () => {
  test.each(["/", "/ws/pub/a", "/ws/sub/a", "/ws/sub/a/b/c", "/ws/pub/a/b/c/d"])(
    "1.2 %s is not found",
    async (path) => {
      const refusal = await refused(hub.url + path);
      expect(refusal.status).toBe(404);
      expect(problemOf(refusal)).toMatchObject({ type: "urn:wspubsub:problem:not-found" });
    },
  );

  test("1.3 a method other than GET, with a body or an upgrade or without", async () => {
    const { host } = new URL(hub.url);
    const { pathname } = new URL(freshTopic().sub);
    const plain = `POST ${pathname} HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 2\r\n\r\nhi`;
    const head = await ask(plain);
    expect(head).toMatch(/^HTTP\/1.1 405 /);
    expect(head).toMatch(/^allow: GET\r?$/im);
  });

  test("1.4 a plain request is asked to upgrade", async () => {
    const response = await fetch(freshTopic().sub.replace(/^ws/, "http"));
    expect(response.status).toBe(426);
    expect(response.headers.get("content-type")).toBe("application/problem+json");
    expect(response.headers.get("cache-control")).toBe("no-store");
    expect(await response.json()).toMatchObject({ type: "urn:wspubsub:problem:upgrade-required" });
  });

  test.each(["/ws/sub/%/t", "/ws/sub/d/%FF", "/ws/sub/d/a%00", "/ws/sub//t", "/ws/sub/d/"])(
    "2.4 %s is an invalid address",
    async (path) => {
      const head = await ask(handshake("GET", path, new URL(hub.url).host));
      expect(head).toMatch(/^HTTP\/1.1 400 /);
    },
  );

  test("1.4 other protocols beside the WebSocket's are refused with a problem", async () => {
    const { host } = new URL(hub.url);
    for (const upgrade of ["h2c, websocket", "websocket, h2c", "websocket\r\nUpgrade: websocket"]) {
      const request = handshake("GET", new URL(freshTopic().sub).pathname, host);
      const head = await ask(request.replace(/^Upgrade: .*$/im, `Upgrade: ${upgrade}`));
      expect(head).toMatch(/^HTTP\/1.1 426 /);
      expect(head).toMatch(/^content-type: application\/problem\+json\r?$/im);
    }
  });

  test("3.1 a token in the query is refused", async () => {
    const refusal = await refused(`${freshTopic().sub}?token=eyJh.e30.c2ln`);
    expect(refusal.status).toBe(400);
    expect(problemOf(refusal)).toMatchObject({ type: "urn:wspubsub:problem:invalid-parameter" });
    expect(refusal.body).not.toContain("eyJh");
  });

  test("bytes that are no URL at all neither hang nor fail the hub", async () => {
    const { host } = new URL(hub.url);
    for (const path of [
      "/ws/sub/d/\xff\xfe",
      "/ws/sub/d/a\tb",
      "/ws/sub/d/\\..",
      "//",
      "/ws/sub/[/]",
    ]) {
      expect(await ask(handshake("GET", path, host))).toMatch(/^HTTP\/1.1 4\d\d /);
    }
  });

  test("5.2 a topic that nobody has started", async () => {
    const refusal = await refused(freshTopic().sub);
    expect(refusal.status).toBe(404);
    expect(problemOf(refusal)).toMatchObject({ type: "urn:wspubsub:problem:topic-not-live" });
  });

  test("5.2 a second publisher", async () => {
    const { pub } = freshTopic();
    await open(pub);
    const refusal = await refused(pub);
    expect(refusal.status).toBe(409);
    expect(problemOf(refusal)).toMatchObject({ type: "urn:wspubsub:problem:publisher-conflict" });
  });

  test("4.2 an unknown key", async () => {
    const refusal = await refused(`${hub.url}/ws/pub/nobodys-key/${hub.domain}/topic`);
    expect(refusal.status).toBe(401);
    expect(refusal.headers["cache-control"]).toBe("no-store");
    expect(problemOf(refusal)).toMatchObject({ type: "urn:wspubsub:problem:key-rejected" });
  });
});

describe("addresses", () => {
  test("2.2 2.3 2.6 near misses are different topics", async () => {
    const base = freshTopic();
    const [slash, encodedTwice, plain] = ["a%2Fb", "a%252Fb", "ab"].map((end) => ({
      pub: `${base.pub}${end}`,
      sub: `${base.sub}${end}`,
    }));
    if (!slash || !encodedTwice || !plain) throw new Error("Three URLs are needed");
    const publishers = [await open(slash.pub), await open(encodedTwice.pub), await open(plain.pub)];
    const subscribers = [
      await open(slash.sub),
      await open(encodedTwice.sub),
      await open(plain.sub),
    ];
    for (const [i, publisher] of publishers.entries()) publisher.send(`topic ${i}`);
    for (const [i, subscriber] of subscribers.entries()) {
      expect(await subscriber.texts(1)).toEqual([`topic ${i}`]);
    }
  });

  test("2.1 2.2 a topic of any Unicode, encoded in any case", async () => {
    const { pub, sub } = freshTopic();
    const publisher = await open(`${pub}${encodeURIComponent("日本 語/👋?#%")}`);
    const path = encodeURIComponent("日本 語/👋?#%").replace(/%../g, (code) => code.toLowerCase());
    const subscriber = await open(`${sub}${path}`);
    publisher.send("こんにちは");
    expect(await subscriber.texts(1)).toEqual(["こんにちは"]);
  });
});

describe.runIf(isLocal)("keys in Postgres", () => {
  test("4.2 unknown, inactive and foreign keys are answered byte for byte alike", async () => {
    const [one, other] = [await freshDomain(), await freshDomain()];
    await sql("update apikeys set active = false where domain = $1", [other.domain]);
    const unknown = await refused(topicUrls(hub.url, { ...one, key: crypto.randomUUID() }).pub);
    const foreign = await refused(topicUrls(hub.url, { ...other, key: one.key }).pub);
    const inactive = await refused(topicUrls(hub.url, other).pub);
    expect(unknown.status).toBe(401);
    for (const refusal of [foreign, inactive]) expect(refusal).toEqual(unknown);
  });

  test("a key with characters that need encoding", async () => {
    const { domain } = await freshDomain();
    const key = "k/ä 100%?#👋 and more";
    await sql("insert into apikeys (domain, username, apikey, active) values ($1, 'x', $2, true)", [
      domain,
      key,
    ]);
    await open(topicUrls(hub.url, { key: encodeURIComponent(key), domain }).pub);
  });

  test("4.4 headers of a client's cannot make it a publisher", async () => {
    const { domain } = await freshDomain({ publishers: "shared" });
    const { sub } = topicUrls(hub.url, { key: "", domain });
    const url = new URL(sub);
    const forged = JSON.stringify({ v: 1, role: "publisher", takeover: true });
    const raw = await RawSocket.to(hub.url);
    raw.write(
      handshake("GET", url.pathname, url.host).replace(
        "\r\n\r\n",
        `\r\nwspubsub-admission: ${forged}\r\n\r\n`,
      ),
    );
    expect(await raw.head()).toMatch(/^HTTP\/1.1 101 /);
    const witness = await open(sub);
    raw.send(OPCODE.text, "forged");
    raw.send(OPCODE.text, "wspubsub:ping");
    expect(await raw.next()).toMatchObject({ payload: Buffer.from("wspubsub:pong") });
    await witness.close();
    raw.destroy();
  });
});
