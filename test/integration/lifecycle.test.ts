/** PROTOCOL.md, sections 5, 7 and 8, over real sockets, with real alarms. */
import { describe, expect, inject, test } from "vitest";
import { freshDomain, freshTopic, topicUrls } from "../support/addresses.ts";
import { open, refused } from "../support/client.ts";
import { OPCODE, RawSocket } from "../support/raw-socket.ts";

const hub = inject("hub");
const isLocal = hub.sqlEndpoint !== null;

describe("the life of a topic", () => {
  test("5.2 a takeover within the grace period goes unnoticed", async () => {
    const { pub, sub } = freshTopic();
    const first = await open(pub);
    const subscriber = await open(sub);
    first.send("1");
    await first.close();
    const late = await open(sub);
    const second = await open(pub);
    second.send("2");
    expect(await subscriber.texts(2)).toEqual(["1", "2"]);
    expect(await late.texts(1)).toEqual(["2"]);
  });

  test("5.2 the same for a publisher whose connection broke", async () => {
    const { pub, sub } = freshTopic();
    const first = await RawSocket.open(pub);
    const subscriber = await open(sub);
    first.send(OPCODE.text, "1");
    expect(await subscriber.texts(1)).toEqual(["1"]);
    first.destroy();
    // The hub learns of it in its own time: until then the topic has a publisher.
    const second = await openWhenFree(pub);
    second.send("2");
    expect(await subscriber.texts(1)).toEqual(["2"]);
  });

  test("9.12 3.2 4.6 a subscriber waits for its topic to start, where somebody knows the domain", async () => {
    const { pub, sub } = freshTopic();
    const waiting = await open(`${sub}?wait=60`);
    const source = await open(pub);
    source.send("first");
    expect(await waiting.texts(1)).toEqual(["first"]);
    const vain = await open(`${freshTopic().sub}?wait=1`);
    vain.send("wspubsub:ping");
    expect(await vain.texts(1)).toEqual(["wspubsub:pong"]);
    expect(await vain.closed()).toEqual({ code: 4404, reason: "topic-not-live" });
    for (const url of [`${sub}?wait=61`, `${pub}?wait=1`]) {
      expect((await refused(url)).status).toBe(400);
      const explained = await open(`${url}&explain=1`);
      expect(await explained.closed()).toEqual({ code: 4500, reason: "invalid-parameter" });
    }
    const unknown = sub.replace(/sub\/[^/]+/, `sub/unknown-${crypto.randomUUID()}`);
    expect((await refused(`${unknown}?wait=60`)).status).toBe(404);
  });

  test("5.5 takeover displaces a publisher that is connected and silent, and fences it out", async () => {
    const { pub, sub } = freshTopic();
    const silent = await RawSocket.open(pub);
    const subscriber = await open(sub);
    silent.send(OPCODE.text, "before");
    expect(await subscriber.texts(1)).toEqual(["before"]);
    const successor = await open(`${pub}?takeover=1`);
    // It was told, but it does not answer: it goes on sending.
    const close = await silent.next();
    expect(close.opcode).toBe(OPCODE.close);
    expect(close.payload.readUInt16BE(0)).toBe(4509);
    expect(close.payload.subarray(2).toString()).toBe("publisher-displaced");
    silent.send(OPCODE.text, "late");
    silent.send(OPCODE.ping, "");
    successor.send("after");
    expect(await subscriber.texts(1)).toEqual(["after"]);
    // When its connection breaks at last, the successor's topic goes on.
    silent.destroy();
    expect((await refused(pub)).status).toBe(409);
    successor.send("still there");
    expect(await subscriber.texts(1)).toEqual(["still there"]);
  });

  test("5.6 7.4 a publisher that promised heartbeats and missed three loses to a newcomer", async () => {
    const { pub, sub } = freshTopic();
    const silent = await RawSocket.open(`${pub}?heartbeat=1`);
    const subscriber = await open(sub);
    silent.send(OPCODE.text, "wspubsub:ping");
    expect(await silent.next()).toMatchObject({ payload: Buffer.from("wspubsub:pong") });
    expect((await refused(pub)).status).toBe(409);
    const successor = await openWhenFree(pub);
    successor.send("mine");
    expect(await subscriber.texts(1)).toEqual(["mine"]);
    expect((await silent.next()).payload.readUInt16BE(0)).toBe(4509);
    silent.destroy();
  });

  test("3.2 a parameter with a wrong value is refused", async () => {
    const { pub } = freshTopic();
    expect((await refused(`${pub}?takeover=yes`)).status).toBe(400);
    expect((await refused(`${pub}?heartbeat=0`)).status).toBe(400);
  });

  test.each([1000, 1001, 3000, 4321])("8.2 answers a close with %d at once", async (code) => {
    const { pub, sub } = freshTopic();
    const publisher = await open(pub);
    const subscriber = await open(sub);
    expect(await subscriber.close(code, "why not")).toEqual({ code, reason: "why not" });
    expect(await publisher.close(code, "")).toEqual({ code, reason: "" });
  });

  test("8.2 answers a close without a code with one without a code", async () => {
    const { pub } = freshTopic();
    const publisher = await RawSocket.open(pub);
    publisher.send(OPCODE.close, "");
    expect(await publisher.next()).toMatchObject({
      opcode: OPCODE.close,
      payload: Buffer.alloc(0),
    });
    publisher.destroy();
  });
});

describe.runIf(isLocal)("policies in Postgres", () => {
  test("5.2 5.3 the topic ends when the grace period has passed", async () => {
    const domain = await freshDomain({ grace_seconds: 1 });
    const { pub, sub } = topicUrls(hub.url, domain);
    const publisher = await open(pub);
    const [subscriber, other] = [await open(sub), await open(sub)];
    publisher.send("last words");
    await publisher.close();
    const leftAt = performance.now();
    expect(await subscriber.texts(1)).toEqual(["last words"]);
    expect(await subscriber.next()).toEqual({ type: "close", code: 1000, reason: "topic-ended" });
    expect(await other.closed()).toEqual({ code: 1000, reason: "topic-ended" });
    // The connections end too, at once: a client reports a close only then. Late would be ten seconds after the second.
    expect(performance.now() - leftAt).toBeLessThan(10_000);
    expect((await refused(sub)).status).toBe(404);
    const again = await open(pub);
    const next = await open(sub);
    again.send("anew");
    expect(await next.texts(1)).toEqual(["anew"]);
  });

  test("5.7 a shared domain: waiting subscribers, many publishers, no end", async () => {
    const domain = await freshDomain({ publishers: "shared", grace_seconds: 0 });
    const { pub, sub } = topicUrls(hub.url, domain);
    const waiting = await open(sub);
    const [a, b] = [await open(pub), await open(pub)];
    a.send("a");
    expect(await waiting.texts(1)).toEqual(["a"]);
    await a.close();
    b.send("b");
    await b.close();
    const c = await open(pub);
    c.send("c");
    expect(await waiting.texts(2)).toEqual(["b", "c"]);
  });

  test("5.4 a domain whose subscribers need a token admits none", async () => {
    const domain = await freshDomain({ subscribers: "token" });
    const { pub, sub } = topicUrls(hub.url, domain);
    await open(pub);
    expect((await refused(sub)).status).toBe(401);
  });

  test("6.5 the operator sets the bound on messages", async () => {
    const domain = await freshDomain({ max_message_bytes: 10 });
    const { pub, sub } = topicUrls(hub.url, domain);
    const publisher = await open(pub);
    const subscriber = await open(sub);
    publisher.send("ten bytes!");
    publisher.send("eleven byte");
    expect(await publisher.closed()).toEqual({ code: 1009, reason: "message-too-large" });
    expect(await subscriber.texts(1)).toEqual(["ten bytes!"]);
  });
});

/** Connects as soon as the hub no longer answers 409: how a standby publisher does it. */
async function openWhenFree(url: string): ReturnType<typeof open> {
  for (;;) {
    try {
      return await open(url);
    } catch (error) {
      if (!(error instanceof Error && error.message.startsWith("Refused with 409"))) throw error;
    }
  }
}
