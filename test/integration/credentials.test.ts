/** PROTOCOL.md, section 12 and 4.6, with real keys: no secret needs to stand in a URL. */
import { describe, expect, inject, test } from "vitest";
import { freshDomain, freshTopic, topicUrls } from "../support/addresses.ts";
import { open, refused } from "../support/client.ts";
import { handshake, RawSocket } from "../support/raw-socket.ts";

const hub = inject("hub");
const { url, key, domain } = hub;

/** The URL of a publisher without a key, and of a subscriber, of a fresh topic. */
function keylessTopic(): { pub: string; sub: string } {
  const { sub } = freshTopic();
  return { pub: sub.replace("/ws/sub/", "/ws/pub/"), sub };
}

function credential(secret: string): string {
  return `base64url.bearer.authorization.wspubsub.${Buffer.from(secret).toString("base64url")}`;
}

describe("a key beside the path", () => {
  test("12.1 in a header", async () => {
    const { pub, sub } = keylessTopic();
    const publisher = await open(pub, [], { Authorization: `Bearer ${key}` });
    const subscriber = await open(sub);
    publisher.send("hello");
    expect(await subscriber.texts(1)).toEqual(["hello"]);
    expect((await refused(pub)).status).toBe(401);
  });

  test.each(["wspubsub.v1", "wspubsub.raw"])(
    "12.1 12.3 in a subprotocol beside %s, which alone is agreed on",
    async (name) => {
      const { pub, sub } = keylessTopic();
      const publisher = await open(pub, [credential(key), name]);
      expect(publisher.socket.protocol).toBe(name);
      const subscriber = await open(sub);
      publisher.send(
        name === "wspubsub.raw" ? "hi" : '{"type":"publish","id":"1","messages":["hi"]}',
      );
      expect(await subscriber.texts(1)).toEqual(["hi"]);
    },
  );

  test("12.1 12.3 in a subprotocol alone, with which nothing is agreed on", async () => {
    const raw = await RawSocket.to(url);
    const { host, pathname } = new URL(keylessTopic().pub);
    raw.write(handshake("GET", pathname, host, [`Sec-WebSocket-Protocol: ${credential(key)}`]));
    const head = await raw.head();
    expect(head).toMatch(/^HTTP\/1.1 101/);
    expect(head.toLowerCase()).not.toContain("sec-websocket-protocol");
    raw.destroy();
  });

  test("12.1 a header of another scheme is not looked at, whatever it begins with", async () => {
    const { pub } = freshTopic();
    const publisher = await open(pub, [], { Authorization: "Bearer-Foo wrong" });
    const subscriber = await open(pub.replace(`/pub/${key}/`, "/sub/"));
    publisher.send("heard");
    expect(await subscriber.texts(1)).toEqual(["heard"]);
  });

  test("12.1 12.2 the first one counts, and one that is wrong counts, too", async () => {
    const { pub } = freshTopic();
    const headers = { Authorization: "Bearer wrong" };
    expect((await refused(pub, [], headers)).status).toBe(401);
    expect((await refused(pub, ["wspubsub.v1", credential("wrong")])).status).toBe(401);
    const good = { Authorization: `Bearer ${key}` };
    const publisher = await open(pub.replace(key, "wrong"), ["wspubsub.v1"], good);
    expect(publisher.socket.protocol).toBe("wspubsub.v1");
  });

  test("4.2 12.2 all keys that open nothing are answered byte for byte alike", async () => {
    const { pub, sub } = keylessTopic();
    const answers = new Set<string>();
    for (const authorization of ["Bearer wrong", "Bearer", `Bearer ${"k".repeat(300)}`]) {
      for (const address of [pub, sub]) {
        answers.add((await refused(address, [], { Authorization: authorization })).body);
      }
    }
    answers.add((await refused(topicUrls(url, { key: "wrong", domain }).pub)).body);
    expect(answers.size).toBe(1);
  });

  test("12.4 a subscriber may present one, of its own domain", async () => {
    const { pub, sub } = freshTopic();
    const publisher = await open(pub);
    const subscriber = await open(sub, [], { Authorization: `Bearer ${key}` });
    publisher.send("seen");
    expect(await subscriber.texts(1)).toEqual(["seen"]);
  });
});

describe.runIf(hub.sqlEndpoint !== null)("the domain's policy", () => {
  test("12.5 a domain may take no keys in paths", async () => {
    const strict = await freshDomain({ path_keys: false });
    const { pub, sub } = topicUrls(url, strict);
    const refusal = await refused(pub);
    expect(refusal.status).toBe(403);
    expect(JSON.parse(refusal.body)).toMatchObject({ type: "urn:wspubsub:problem:key-in-path" });
    expect((await refused(pub.replace(strict.key, "wrong"))).status).toBe(401);
    const headers = { Authorization: `Bearer ${strict.key}` };
    const publisher = await open(sub.replace("/ws/sub/", "/ws/pub/"), [], headers);
    const subscriber = await open(sub);
    publisher.send("quietly");
    expect(await subscriber.texts(1)).toEqual(["quietly"]);
  });
});

describe("?explain=1", () => {
  test.each([
    ["a topic that nobody has started", (topic: string) => `/ws/sub/${domain}/${topic}`, 4404],
    ["a wrong key", (topic: string) => `/ws/pub/wrong/${domain}/${topic}`, 4501],
    ["no key", (topic: string) => `/ws/pub/${domain}/${topic}`, 4501],
    ["a malformed address", () => `/ws/sub/${domain}/%FF`, 4500],
    ["a wrong path", (topic: string) => `//ws/sub/${domain}/${topic}`, 4504],
  ])("4.6 closes with a code instead of a problem: %s", async (_, path, code) => {
    const client = await open(`${url}${path(crypto.randomUUID())}?explain=1`);
    expect((await client.closed()).code).toBe(code);
  });

  test("4.6 a second publisher is told by code, with its subprotocol", async () => {
    const { pub } = freshTopic();
    await open(pub);
    const second = await open(`${pub}?explain=1`, ["wspubsub.v1"]);
    expect(second.socket.protocol).toBe("wspubsub.v1");
    expect(await second.closed()).toEqual({ code: 4409, reason: "publisher-conflict" });
  });

  test("4.7 a stream is told the problem before it is closed", async () => {
    const client = await open(`${freshTopic().sub}?explain=1`, ["wspubsub.v1"]);
    const [text] = await client.texts(1);
    expect(JSON.parse(text ?? "")).toMatchObject({
      type: "error",
      id: null,
      problem: {
        status: 404,
        type: "urn:wspubsub:problem:topic-not-live",
        detail: expect.any(String),
      },
    });
    expect(await client.closed()).toEqual({ code: 4404, reason: "topic-not-live" });
  });

  test("4.6 who is admitted notices nothing", async () => {
    const { pub, sub } = freshTopic();
    const publisher = await open(`${pub}?explain=1`);
    const subscriber = await open(`${sub}?explain=1`);
    publisher.send("as ever");
    expect(await subscriber.texts(1)).toEqual(["as ever"]);
  });
});
