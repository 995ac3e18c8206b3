/** PROTOCOL.md, section 10, over real sockets: the stream, beside raw clients and by itself. */
import { randomBytes } from "node:crypto";
import { WebSocket as PartySocket } from "partysocket";
import { describe, expect, inject, test } from "vitest";
import { freshDomain, freshTopic, topicUrls } from "../support/addresses.ts";
import { open } from "../support/client.ts";
import { handshake, RawSocket } from "../support/raw-socket.ts";
import {
  messagesOf,
  openSender,
  parseFrame,
  STREAM,
  StreamPublisher,
  StreamSubscriber,
  subscribe,
  type Message,
} from "../support/stream-client.ts";

const hub = inject("hub");
const isLocal = hub.sqlEndpoint !== null;
const MIB = 1_048_576;
const PROBLEM = "urn:wspubsub:problem:";
const KINDS = ["raw", "stream"] as const;

/** The head of the answer to a handshake with these headers. */
async function answerTo(headers: readonly string[]): Promise<string> {
  const { pub } = freshTopic();
  const { host, pathname } = new URL(pub);
  const raw = await RawSocket.to(pub);
  raw.write(handshake("GET", pathname, host, headers));
  const head = await raw.head();
  raw.destroy();
  return head;
}

describe("the handshake", () => {
  test.each([
    [["Sec-WebSocket-Protocol: wspubsub.v1"]],
    [["sec-websocket-protocol: graphql-ws,wspubsub.v1 , mqtt"]],
    [["Sec-WebSocket-Protocol: wspubsub.v2, wspubsub.v1"]],
    [["Sec-WebSocket-Protocol: mqtt", "Sec-WebSocket-Protocol: wspubsub.v1"]],
  ])("1.8 agrees on the stream among %j", async (headers) => {
    const head = await answerTo(headers);
    expect(head).toMatch(/^HTTP\/1.1 101 /);
    expect(head).toMatch(/^sec-websocket-protocol: wspubsub\.v1\r?$/im);
  });

  test.each([
    [[]],
    [["Sec-WebSocket-Protocol: mqtt"]],
    [["Sec-WebSocket-Protocol: wspubsub"]],
    [["Sec-WebSocket-Protocol: wspubsub.v10, xwspubsub.v1, WSPUBSUB.V1"]],
  ])("1.8 agrees on none among %j", async (headers) => {
    const head = await answerTo(headers);
    expect(head).toMatch(/^HTTP\/1.1 101 /);
    expect(head).not.toMatch(/^sec-websocket-protocol:/im);
  });

  test("1.8 a socket that offers another subprotocol is raw", async () => {
    const { pub, sub } = freshTopic();
    const publisher = await RawSocket.open(pub, "mqtt");
    const subscriber = await RawSocket.open(sub, "mqtt");
    publisher.send(1, '{"type":"publish"}');
    expect((await subscriber.next()).payload.toString()).toBe('{"type":"publish"}');
    publisher.destroy();
    subscriber.destroy();
  });
});

describe("raw and stream on one topic", () => {
  test.each(KINDS)("10.2 a %s publisher's messages are the same to both", async (kind) => {
    const { pub, sub } = freshTopic();
    const send = await openSender(kind, pub);
    const subscribers = [
      await subscribe("raw", sub),
      await subscribe("stream", sub),
      await subscribe("stream", sub),
    ];
    const sent = [
      "plain",
      "",
      Buffer.alloc(0),
      'Grüße 👋🏽\u0000\u2028\uFFFD"\\\n',
      '{"type":"end"}',
      '{"base64":"AP+A"}',
      Buffer.from([0, 128, 255]),
      Buffer.from("text as binary"),
      "wspubsub:pong",
      ...Array.from({ length: 500 }, (_, n) => (n % 2 ? String(n) : Buffer.from([n % 256]))),
    ];
    for (const message of sent) send([message]);
    for (const subscriber of subscribers) {
      expect(await subscriber.messages(sent.length)).toEqual(sent);
    }
  });

  test.each(KINDS)("10.2 a %s publisher's large messages, too", async (kind) => {
    const { pub, sub } = freshTopic();
    const send = await openSender(kind, pub);
    const subscribers = [await subscribe("raw", sub), await subscribe("stream", sub)];
    for (const message of [
      "x".repeat(MIB),
      "é".repeat(MIB / 2),
      "\u0000".repeat(MIB),
      randomBytes(MIB),
    ]) {
      send([message]);
      for (const subscriber of subscribers) {
        const [received] = await subscriber.messages(1);
        // A diff of a mebibyte helps nobody.
        expect(Buffer.compare(Buffer.from(received ?? ""), Buffer.from(message))).toBe(0);
        expect(typeof received).toBe(typeof message);
      }
    }
  });

  test.runIf(isLocal)("10.2 10.7 publishers of both kinds at once, each in its order", async () => {
    const { pub, sub } = topicUrls(hub.url, await freshDomain({ publishers: "shared" }));
    const [raw, stream, other] = [
      await open(pub),
      await StreamPublisher.open(pub),
      await StreamPublisher.open(pub),
    ];
    const subscribers = [await subscribe("raw", sub), await subscribe("stream", sub)];
    for (let n = 0; n < 100; n++) {
      stream.send(Array.from({ length: 5 }, (_, i) => `stream ${n * 5 + i}`));
      other.send(Array.from({ length: 5 }, (_, i) => `other ${n * 5 + i}`));
      for (let i = 0; i < 5; i++) raw.send(`raw ${n * 5 + i}`);
    }
    const all = await Promise.all(subscribers.map((subscriber) => subscriber.messages(1500)));
    expect(all[0]).toEqual(all[1]);
    const received = all[0]?.map(String) ?? [];
    for (const name of ["raw", "stream", "other"]) {
      const own = received.filter((text) => text.startsWith(name));
      expect(own).toEqual(Array.from({ length: 500 }, (_, n) => `${name} ${n}`));
    }
    for (const name of ["stream", "other"]) {
      for (let n = 0; n < 500; n += 5) {
        const start = received.indexOf(`${name} ${n}`);
        const frame = Array.from({ length: 5 }, (_, i) => `${name} ${n + i}`);
        expect(received.slice(start, start + 5), "a frame's messages stay together").toEqual(frame);
      }
    }
  });
});

describe("subscribers", () => {
  test("10.3 10.4 begin at the open's cursor and go on to the last message's", async () => {
    const { pub, sub } = freshTopic();
    const publisher = await StreamPublisher.open(pub);
    const first = await publisher.publish(["before"]);
    const subscriber = await StreamSubscriber.open(sub);
    expect(subscriber.opened).toEqual({ type: "open", cursor: first, recovered: null });
    const last = await publisher.publish(["one", "two", "three"]);
    expect(await subscriber.until(last)).toEqual(["one", "two", "three"]);
    const resumed = await StreamSubscriber.open(`${sub}?since=${subscriber.cursor}`);
    expect(resumed.opened).toEqual({ type: "open", cursor: last, recovered: true });
  });

  test.runIf(isLocal)("10.6 8.1 end comes before the close, and to streams only", async () => {
    const { pub, sub } = topicUrls(hub.url, await freshDomain({ grace_seconds: 0 }));
    const publisher = await StreamPublisher.open(pub);
    const stream = await open(sub, [STREAM]);
    const raw = await open(sub);
    publisher.send(["last words"]);
    await publisher.ack();
    await publisher.client.close();
    const frames = (await stream.texts(3)).map(parseFrame);
    expect(frames.map(({ type }) => type)).toEqual(["open", "messages", "end"]);
    expect(frames[2]).toEqual({ type: "end", reason: "abandoned" });
    expect(await stream.next()).toEqual({ type: "close", code: 1000, reason: "topic-ended" });
    expect(await raw.texts(1)).toEqual(["last words"]);
    expect(await raw.next()).toEqual({ type: "close", code: 1000, reason: "topic-ended" });
  });

  test("10.1 7.2 heartbeats are the same on a stream, in both roles", async () => {
    const { pub, sub } = freshTopic();
    const publisher = await StreamPublisher.open(`${pub}?heartbeat=30`);
    const subscriber = await StreamSubscriber.open(sub);
    for (const { client } of [publisher, subscriber]) {
      client.send("wspubsub:ping");
      expect(await client.next()).toEqual({ type: "text", text: "wspubsub:pong" });
    }
    await publisher.publish(["after"]);
    expect(await subscriber.messages(1)).toEqual(["after"]);
  });

  test.each([
    ["text that is no JSON", "hello"],
    ["a binary frame", Buffer.from('{"type":"ack","cursor":"a"}')],
    ["another type", '{"type":"subscribe","cursor":"a"}'],
    ["an ack without a cursor", '{"type":"ack"}'],
    ["an ack whose cursor is none", '{"type":"ack","cursor":"not a cursor"}'],
  ])("10.10 a subscriber that sends %s is told and closed", async (_, frame) => {
    const { pub, sub } = freshTopic();
    const publisher = await StreamPublisher.open(pub);
    const other = await StreamSubscriber.open(sub);
    const subscriber = await StreamSubscriber.open(sub);
    subscriber.client.send(frame);
    const answer = await subscriber.client.next();
    expect(answer.type === "text" && parseFrame(answer.text)).toMatchObject({
      type: "error",
      problem: { type: `${PROBLEM}invalid-frame`, status: 400 },
    });
    expect(await subscriber.client.next()).toEqual({
      type: "close",
      code: 4500,
      reason: "invalid-frame",
    });
    await publisher.publish(["goes on"]);
    expect(await other.messages(1)).toEqual(["goes on"]);
  });

  test("10.10 what a subscriber publishes reaches nobody", async () => {
    const { pub, sub } = freshTopic();
    const publisher = await StreamPublisher.open(pub);
    const other = await StreamSubscriber.open(sub);
    const subscriber = await StreamSubscriber.open(sub);
    subscriber.client.send('{"type":"publish","id":"1","messages":["smuggled"]}');
    expect(await subscriber.client.closed()).toEqual({ code: 4500, reason: "invalid-frame" });
    await publisher.publish(["goes on"], "1");
    expect(await other.messages(1)).toEqual(["goes on"]);
  });
});

describe("publishers", () => {
  test("10.7 10.8 need not wait: acks come in the order of their frames", async () => {
    const { pub, sub } = freshTopic();
    const publisher = await StreamPublisher.open(pub);
    const subscriber = await StreamSubscriber.open(sub);
    const ids = Array.from({ length: 1000 }, (_, n) => publisher.send([`${n}a`, `${n}b`]));
    const cursors = new Set<string>();
    for (const id of ids) {
      const ack = await publisher.ack();
      expect(ack.id).toBe(id);
      cursors.add(ack.cursor);
    }
    expect(cursors.size).toBe(1000);
    const expected = ids.flatMap((_, n) => [`${n}a`, `${n}b`]);
    expect(await subscriber.messages(2000)).toEqual(expected);
    expect(subscriber.cursor).toBe([...cursors].at(-1));
  });

  test("10.7 a publish has up to 1,000 messages and an id of up to 64 characters", async () => {
    const { pub, sub } = freshTopic();
    const publisher = await StreamPublisher.open(pub);
    const subscriber = await StreamSubscriber.open(sub);
    const thousand = Array.from({ length: 1000 }, (_, n) => String(n));
    for (const id of ["1", "x".repeat(64), '!"\\~', crypto.randomUUID()]) {
      await publisher.publish(thousand, id);
      expect(await subscriber.messages(1000)).toEqual(thousand);
    }
  });

  test.each([
    [
      "members that are not listed",
      '{"type":"publish","id":"1","v":2,"messages":["a",{"base64":"Yg==","type":"x"}],"x":{}}',
    ],
    ["another order", '{"messages":["a",{"base64":"Yg=="}],"id":"1","type":"publish"}'],
    [
      "white space",
      ' {\n"type" :\t"publish", "id":"1","messages": [ "a", {"base64":"Yg=="} ]}\r\n',
    ],
    [
      "escapes",
      '{"\\u0074ype":"pu\\u0062lish","id":"\\u0031","messages":["\\u0061",{"base64":"Y\\u0067=="}]}',
    ],
  ])("10.1 a frame with %s is a frame", async (_, frame) => {
    const { pub, sub } = freshTopic();
    const publisher = await StreamPublisher.open(pub);
    const subscriber = await StreamSubscriber.open(sub);
    publisher.client.send(frame);
    expect((await publisher.ack()).id).toBe("1");
    expect(await subscriber.messages(2)).toEqual(["a", Buffer.from("b")]);
  });

  test("10.9 a publish that is sent again is acknowledged again and not published again", async () => {
    const { pub, sub } = freshTopic();
    const publisher = await StreamPublisher.open(pub);
    const subscriber = await StreamSubscriber.open(sub);
    const cursors: string[] = [];
    for (let n = 0; n < 1000; n++) publisher.send([String(n)], `id-${n}`);
    for (let n = 0; n < 1000; n++) cursors.push((await publisher.ack()).cursor);
    expect(await publisher.publish(["0"], "id-0")).toBe(cursors[0]);
    expect(await publisher.publish(["999"], "id-999")).toBe(cursors[999]);

    const successor = await StreamPublisher.open(`${pub}?takeover=1`);
    for (let n = 0; n < 1000; n++) successor.send([String(n)], `id-${n}`);
    for (const cursor of cursors) expect((await successor.ack()).cursor).toBe(cursor);
    await successor.publish(["last"]);
    expect(await subscriber.messages(1001)).toEqual([
      ...Array.from({ length: 1000 }, (_, n) => String(n)),
      "last",
    ]);
  });

  test("10.9 the same id twice in flight is published once", async () => {
    const { pub, sub } = freshTopic();
    const publisher = await StreamPublisher.open(pub);
    const subscriber = await StreamSubscriber.open(sub);
    for (let n = 0; n < 10; n++) publisher.send(["once"], "the-id");
    const cursors = new Set<string>();
    for (let n = 0; n < 10; n++) cursors.add((await publisher.ack()).cursor);
    expect(cursors.size).toBe(1);
    await publisher.publish(["last"]);
    expect(await subscriber.messages(2)).toEqual(["once", "last"]);
  });

  test.runIf(isLocal)(
    "10.9 10.11 ids are the key's, not the socket's, and stand for one content",
    async () => {
      const { pub, sub } = topicUrls(hub.url, await freshDomain({ publishers: "shared" }));
      const [one, other] = [await StreamPublisher.open(pub), await StreamPublisher.open(pub)];
      const subscriber = await StreamSubscriber.open(sub);
      const cursor = await one.publish(["once"], "the-id");
      expect(await other.publish(["once"], "the-id")).toBe(cursor);
      other.send(["twice"], "the-id");
      expect((await other.error()).problem).toMatchObject({
        type: "urn:wspubsub:problem:id-reused",
        status: 422,
      });
      await other.publish(["last"]);
      expect(await subscriber.messages(2)).toEqual(["once", "last"]);
    },
  );

  test("5.5 a stream publisher can be displaced", async () => {
    const { pub, sub } = freshTopic();
    const publisher = await StreamPublisher.open(pub);
    const subscriber = await StreamSubscriber.open(sub);
    await publisher.publish(["before"]);
    const successor = await StreamPublisher.open(`${pub}?takeover=1`);
    expect(await publisher.client.closed()).toEqual({ code: 4509, reason: "publisher-displaced" });
    await successor.publish(["after"]);
    expect(await subscriber.messages(2)).toEqual(["before", "after"]);
  });
});

/** A `publish` with these members, or with these messages after a good one. */
function publish(members: string): string {
  return `{"type":"publish","id":"the-id",${members}}`;
}
function messages(items: string): string {
  return publish(`"messages":["good",${items}]`);
}

describe("frames that are none", () => {
  const cases: [name: string, frame: string | Buffer, id: string | null, detail: RegExp][] = [
    ["text that is no JSON", "hello", null, /JSON/],
    ["nothing", "", null, /JSON/],
    ["JSON that ends too early", '{"type":"publish"', null, /JSON/],
    ["brackets that never end", "[".repeat(100_000), null, /./],
    ["null", "null", null, /object/i],
    ["an array", "[]", null, /./],
    ["a string", '"publish"', null, /object/i],
    ["a binary frame", Buffer.from(messages('"b"')), null, /text|binary/i],
    ["no type", '{"id":"the-id","messages":["good"]}', "the-id", /type/],
    ["another type", '{"type":"Publish","id":"the-id","messages":["good"]}', "the-id", /type/],
    ["a frame of subscribers", '{"type":"ack","cursor":"a"}', null, /type/],
    ["no id", '{"type":"publish","messages":["good"]}', null, /id/],
    ["an empty id", '{"type":"publish","id":"","messages":["good"]}', null, /id/],
    ["a number as id", '{"type":"publish","id":7,"messages":["good"]}', null, /id/],
    ["null as id", '{"type":"publish","id":null,"messages":["good"]}', null, /id/],
    [
      "an id of 65 characters",
      `{"type":"publish","id":"${"x".repeat(65)}","messages":["good"]}`,
      null,
      /id/,
    ],
    ["an id with a space", '{"type":"publish","id":"a b","messages":["good"]}', null, /id/],
    ["an id beyond ASCII", '{"type":"publish","id":"é","messages":["good"]}', null, /id/],
    ["no messages", '{"type":"publish","id":"the-id"}', "the-id", /messages/],
    ["messages that are a string", publish('"messages":"good"'), "the-id", /messages/],
    ["messages that are an object", publish('"messages":{"0":"good"}'), "the-id", /messages/],
    ["an empty list of messages", publish('"messages":[]'), "the-id", /messages/],
    [
      "1,001 messages",
      publish(`"messages":[${Array(1001).fill('"good"').join()}]`),
      "the-id",
      /messages/,
    ],
    ["a number among the messages", messages("7"), "the-id", /messages\W*1\b/],
    ["null among the messages", messages("null"), "the-id", /messages\W*1\b/],
    ["an array among the messages", messages('["a"]'), "the-id", /messages\W*1\b/],
    ["an object without base64", messages('{"Base64":"AP+A"}'), "the-id", /messages\W*1\b/],
    [
      "base64 by prototype",
      messages('{"__proto__":{"base64":"AP+A"}}'),
      "the-id",
      /messages\W*1\b/,
    ],
    ["a number as base64", messages('{"base64":7}'), "the-id", /messages\W*1\b/],
    ["base64 of the URL's alphabet", messages('{"base64":"AP-A"}'), "the-id", /messages\W*1\b/],
    ["base64 without padding", messages('{"base64":"AP8"}'), "the-id", /messages\W*1\b/],
    ["base64 that ends too early", messages('{"base64":"APAPA"}'), "the-id", /messages\W*1\b/],
    ["base64 with white space", messages('{"base64":"AP+A\\n"}'), "the-id", /messages\W*1\b/],
    [
      "base64 with something after it",
      messages('{"base64":"AP8=AP8="}'),
      "the-id",
      /messages\W*1\b/,
    ],
  ];

  test("10.7 half a surrogate pair, which is no UTF-8, arrives as U+FFFD", async () => {
    const { pub, sub } = freshTopic();
    const publisher = await StreamPublisher.open(pub);
    const [stream, raw] = [await subscribe("stream", sub), await subscribe("raw", sub)];
    await publisher.publish(["a\ud83d", "\udc4b\ud83d", "\ud83d\udc4b"]);
    const expected = ["a\ufffd", "\ufffd\ufffd", "\ud83d\udc4b"];
    expect(await stream.messages(3)).toEqual(expected);
    expect(await raw.messages(3)).toEqual(expected);
  });

  test.each(cases)("10.10 %s", async (_, frame, id, detail) => {
    const { pub, sub } = freshTopic();
    const publisher = await StreamPublisher.open(pub);
    const subscriber = await StreamSubscriber.open(sub);
    await publisher.publish(["before"]);
    publisher.client.send(frame);
    const error = await publisher.error();
    expect(error).toMatchObject({
      id,
      problem: { type: `${PROBLEM}invalid-frame`, status: 400 },
    });
    expect(error.problem.detail).toMatch(detail);
    expect(await publisher.client.next()).toEqual({
      type: "close",
      code: 4500,
      reason: "invalid-frame",
    });
    // Its id is free, since nothing of it was published.
    const next = await StreamPublisher.open(`${pub}?takeover=1`);
    await next.publish(["after"], "the-id");
    expect(await subscriber.messages(2)).toEqual(["before", "after"]);
  });
});

test("10.8 10.10 what went before a frame that is none is published, and acknowledged", async () => {
  const { pub, sub } = freshTopic();
  const publisher = await StreamPublisher.open(pub);
  const subscriber = await StreamSubscriber.open(sub);
  const ids = Array.from({ length: 20 }, (_, n) => publisher.send([`${n}a`, `${n}b`]));
  publisher.client.send("none");
  const { acked, problems } = await publisher.answers(21);
  expect(acked).toEqual(ids);
  expect(problems.get(null)).toMatchObject({ type: `${PROBLEM}invalid-frame` });
  expect(await publisher.client.closed()).toEqual({ code: 4500, reason: "invalid-frame" });
  expect(await subscriber.messages(40)).toEqual(ids.flatMap((_, n) => [`${n}a`, `${n}b`]));
});

describe.runIf(isLocal)("more than the hub takes", () => {
  test("10.11 a message over the bound is an error of its frame, and the socket goes on", async () => {
    const { pub, sub } = topicUrls(hub.url, await freshDomain({ max_message_bytes: 10 }));
    const publisher = await StreamPublisher.open(pub);
    const subscriber = await StreamSubscriber.open(sub);
    const tooLarge = ["eleven byte", "éééééé", Buffer.alloc(11)];
    for (const message of tooLarge) {
      const before = publisher.send(["before"]);
      const refused = publisher.send(["good", message, "good"]);
      const after = publisher.send(["after"]);
      const { acked, problems } = await publisher.answers(3);
      expect(acked).toEqual([before, after]);
      expect([...problems]).toEqual([
        [refused, expect.objectContaining({ type: `${PROBLEM}message-too-large`, status: 413 })],
      ]);
      expect(await subscriber.messages(2)).toEqual(["before", "after"]);
      // What was not published can be mended and sent again.
      await publisher.publish(["mended"], refused);
      expect(await subscriber.messages(1)).toEqual(["mended"]);
    }
    const largest = ["ten bytes!", "ééééé", Buffer.alloc(10)];
    await publisher.publish(largest);
    expect(await subscriber.messages(3)).toEqual(largest);
  });

  test("10.8 10.11 of a flood each publish is in the log or refused, and nothing in between", async () => {
    const { pub, sub } = topicUrls(hub.url, await freshDomain({ history_messages: 100_000 }));
    const publisher = await StreamPublisher.open(pub);
    const padding = "x".repeat(500_000);
    const ids = Array.from({ length: 80 }, (_, n) =>
      publisher.send([`${n}a ${padding}`, `${n}b ${padding}`]),
    );
    const { acked, problems } = await publisher.answers(ids.length);
    expect(acked).toEqual(ids.filter((id) => acked.includes(id)));
    expect(acked.length + problems.size).toBe(ids.length);
    for (const problem of problems.values()) {
      expect(problem).toMatchObject({ type: `${PROBLEM}topic-overloaded`, status: 503 });
      expect(problem.retryAfter).toBeGreaterThan(0);
    }
    const accepted = acked.flatMap((id) => [`${ids.indexOf(id)}a`, `${ids.indexOf(id)}b`]);
    const last = await publisher.publish(["last"]);
    const subscriber = await StreamSubscriber.open(`${sub}?since=earliest`);
    const received = (await subscriber.until(last)).map((message) => String(message).split(" ")[0]);
    expect(received).toEqual([...accepted, "last"]);
  });
});

describe("clients that others wrote", () => {
  test("10.1 Node's own WebSocket publishes, partysocket subscribes", async () => {
    const { pub, sub } = freshTopic();
    const publisher = new WebSocket(pub, STREAM);
    await new Promise((resolve) => publisher.addEventListener("open", resolve));
    expect(publisher.protocol).toBe(STREAM);
    const subscriber = new PartySocket(sub, [STREAM]);
    const received: Message[] = [];
    const both = new Promise<void>((resolve) => {
      subscriber.addEventListener("message", ({ data }) => {
        const frame = parseFrame(String(data));
        if (frame.type === "open") publisher.send(frameOfTwo);
        if (frame.type === "messages") received.push(...messagesOf(frame));
        if (received.length === 2) resolve();
      });
    });
    const frameOfTwo = '{"type":"publish","id":"1","messages":["text",{"base64":"AP+A"}]}';
    const ack = new Promise<string>((resolve) => {
      publisher.addEventListener("message", ({ data }) => resolve(String(data)));
    });
    await both;
    expect(received).toEqual(["text", Buffer.from([0, 255, 128])]);
    expect(parseFrame(await ack)).toMatchObject({ type: "ack", id: "1" });
    subscriber.close();
    publisher.close();
  });
});
