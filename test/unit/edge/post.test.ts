/** PROTOCOL.md, section 17: what the edge makes of a post's headers and body, and what it tells of a topic's answer. */
import { env } from "cloudflare:workers";
import fc from "fast-check";
import { SignJWT } from "jose";
import { beforeEach, describe, expect, test, vi } from "vitest";
import type { Message } from "../../../src/core/message.ts";
import { formatPublish } from "../../../src/core/client-frame.ts";
import { leaveRoomInMinute } from "../../support-in-workerd/real-time.ts";
import { CountingLimit } from "./support/counting-limit.ts";
import { Posting } from "./support/posting.ts";
import { ScriptedDomain, ScriptedPosts } from "./support/scripted-objects.ts";

const MIB = 1024 * 1024;
const NDJSON = { "Content-Type": "application/x-ndjson" };
const FRAME = { "Content-Type": "application/vnd.wspubsub.v1+json" };
const PUBLISHED = { type: "published", cursor: "c-1", count: 1, subscribers: 0 };
const BUSY = { slug: "topic-overloaded", detail: "Later", retryAfter: 3 };

function bytesOf(...bytes: number[]): Uint8Array {
  return new Uint8Array(bytes);
}

/** A body that ends when it is told, or breaks. */
function openBody(): {
  readonly stream: ReadableStream<Uint8Array>;
  readonly controller: ReadableStreamDefaultController<Uint8Array>;
} {
  let controller: ReadableStreamDefaultController<Uint8Array> | null = null;
  const stream = new ReadableStream<Uint8Array>({ start: (given) => void (controller = given) });
  if (controller === null) throw new Error("A stream starts at once");
  return { stream, controller };
}

describe("17.2 a body", () => {
  test.each([
    ["text/plain", "text"],
    ["text/plain; charset=utf-8", "text"],
    ['text/event-stream;charset="UTF-8"; x=1', "text"],
    ["TEXT/HTML", "text"],
    ["application/json", "text"],
    ["Application/JSON; charset=UTF8", "text"],
    ["application/cloudevents+json", "text"],
    ["application/x-www-form-urlencoded", "text"],
    ["application/octet-stream", "bytes"],
    ["application/octet-stream; charset=latin1", "bytes"],
    ["image/png", "bytes"],
    ["multipart/form-data; boundary=x", "bytes"],
    ["application/jsonx", "bytes"],
    ["  ", "text"],
  ])("of %s is one message of %s, as it is", async (contentType, kind) => {
    const body = '\u{FEFF}{"a": 1}\r\n€\n';
    const [message] = await new Posting().arrives(body, contentType);
    expect(message).toEqual(kind === "text" ? body : new TextEncoder().encode(body).buffer);
  });

  test("without a type is text, and so is an empty one", async () => {
    const posting = new Posting();
    expect(await posting.arrives("a", null)).toEqual(["a"]);
    expect(await posting.arrives("", null)).toEqual([""]);
    expect((await posting.post({ body: null })).body).toMatchObject({ count: 1 });
  });

  test.each([
    ["text/plain; charset=iso-8859-1", {}],
    ["text/plain; charset=utf-8; charset=latin1", {}],
    ["application/json;charset=utf-16", {}],
    ["application/x-ndjson; charset=latin1", {}],
    ["plain", {}],
    ["text/plain, text/html", {}],
    ["text/plain", { "Content-Encoding": "gzip" }],
    ["image/png", { "Content-Encoding": "identity, br" }],
  ])("of %s with %j is of a kind that the hub does not take", async (contentType, headers) => {
    const posted = await new Posting().post({
      headers: { "Content-Type": contentType, ...headers },
    });
    expect(posted).toMatchObject({ status: 415, word: "unsupported-media-type" });
    expect(posted.headers.get("Accept-Encoding")).toBe("identity");
  });

  test("may say that it is not encoded", async () => {
    const headers = { "Content-Encoding": "Identity" };
    expect(await new Posting().post({ headers })).toMatchObject({ status: 200 });
  });

  test.each([[0x80], [0xc0, 0xaf], [0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80, 0x80], [0x61, 0xc3]])(
    "of text that is not UTF-8 is refused: %#",
    async (...bytes) => {
      const posted = await new Posting().post({ body: bytesOf(...bytes) });
      expect(posted).toMatchObject({ status: 400, word: "invalid-body" });
      expect(posted.body["detail"]).toBe("The body is not UTF-8");
    },
  );
});

describe("17.3 lines", () => {
  test.each([
    ['{"a":1}\n{"b":2}\n', ['{"a":1}', '{"b":2}']],
    ["1", ["1"]],
    [" 1 \r\n\u{FEFF}2\r\n", [" 1 \r", "\u{FEFF}2\r"]],
    ["no json\n€\n", ["no json", "€"]],
  ])("%j are messages, as written", async (body, messages) => {
    expect(await new Posting().arrives(body, "application/x-ndjson")).toEqual(messages);
    expect(await new Posting().arrives(body, "application/ndjson")).toEqual(messages);
  });

  test.each([
    ["", "Line 1: Expected a message"],
    ["\n", "Line 1: Expected a message"],
    ["1\n\n3\n", "Line 2: Expected a message"],
    ["1\n2\n \r\n", "Line 3: Expected a message"],
    ["1\n\n", "Line 2: Expected a message"],
    ["1\n".repeat(1001), "Line 1001: Expected at most 1000 lines"],
    ["1\n".repeat(100_000), "Line 1001: Expected at most 1000 lines"],
    [bytesOf(0x31, 10, 0xff, 10, 0x32), "Line 2: Expected UTF-8"],
    [bytesOf(0xe2, 10, 0x82), "Line 1: Expected UTF-8"],
    [bytesOf(0x31, 10, 0xe2, 0x82), "Line 2: Expected UTF-8"],
  ])("%# are refused as a whole, with the line that is wrong", async (body, detail) => {
    const posting = new Posting();
    expect(await posting.post({ body, headers: NDJSON })).toMatchObject({
      status: 400,
      word: "invalid-body",
      body: { detail },
    });
    expect((await posting.post({ body: "first" })).body["cursor"]).toMatch(/-1$/);
  });

  test("are a thousand at most, and none larger than the domain takes", async () => {
    const posting = new Posting({ publishers: "shared", maxMessageBytes: 5 });
    const thousand = await posting.post({ body: "12345\n".repeat(1000), headers: NDJSON });
    expect(thousand.body).toMatchObject({ count: 1000 });
    expect(await posting.post({ body: "1\n123456\n", headers: NDJSON })).toMatchObject({
      status: 413,
      word: "message-too-large",
      body: { detail: "Line 2 has more than 5 bytes" },
    });
    expect((await posting.post({ body: "123456" })).body).toMatchObject({
      detail: "The body has more than 5 bytes",
    });
  });
});

describe("17.4 a frame", () => {
  test("is a publish of the stream, with its id", async () => {
    const posting = new Posting();
    const reader = await posting.subscribe();
    const binary = bytesOf(0, 255).buffer as ArrayBuffer;
    const body = formatPublish({ id: "one", messages: ["a", binary] });
    const first = await posting.post({ body, headers: FRAME });
    expect(first.body).toMatchObject({ count: 2 });
    expect(await reader.take(2)).toEqual(["a", binary]);
    expect(
      (await posting.post({ body, headers: { ...FRAME, "Idempotency-Key": "one" } })).body,
    ).toEqual(first.body);
    const other = { ...FRAME, "Idempotency-Key": "two" };
    expect(await posting.post({ body, headers: other })).toMatchObject({
      status: 400,
      word: "invalid-idempotency-key",
    });
    const next = formatPublish({ id: "three", after: "none", messages: ["b"] });
    expect(await posting.post({ body: next, headers: FRAME })).toMatchObject({
      status: 409,
      word: "out-of-order",
    });
  });

  test.each([
    ["{", "Expected JSON, found a fault at position 1"],
    ["[]", "Expected a JSON object"],
    ['{"type":"ack"}', 'Expected "type" to be "publish" or "finish"'],
    [
      '{"type":"publish","id":"a","messages":["a",1]}',
      'Expected "messages[1]" to be a text or {"base64":"…"}, padded',
    ],
    [
      `{"type":"publish","id":"a","messages":[${"[],".repeat(100_000)}[]]}`,
      "Expected less that is not in strings",
    ],
  ])("%# that is none is refused, with the member that is wrong", async (body, detail) => {
    expect(await new Posting().post({ body, headers: FRAME })).toMatchObject({
      status: 400,
      word: "invalid-frame",
      body: { detail },
    });
  });
});

describe("17.5 an Idempotency-Key", () => {
  test.each([
    ["a", '"a"'],
    ['"a"', "a"],
    ['"a\\"\\\\b"', 'a"\\b'],
    [" a ", "a"],
    ["x".repeat(64), `"${"x".repeat(64)}"`],
  ])("%s stands for the same post as %s", async (one, other) => {
    const posting = new Posting();
    const first = await posting.post({ headers: { "Idempotency-Key": one } });
    const second = await posting.post({ headers: { "Idempotency-Key": other } });
    expect(second).toMatchObject({ status: 200, body: first.body });
    expect(
      await posting.post({ body: "other", headers: { "Idempotency-Key": one } }),
    ).toMatchObject({
      status: 422,
      word: "id-reused",
    });
  });

  test.each([
    "",
    '""',
    '"',
    '"a',
    'a"b c',
    "a b",
    "a, b",
    '"a";p=1',
    "ä",
    "x".repeat(65),
    '"a\\x"',
  ])("%s is none", async (key) => {
    const posted = await new Posting().post({ headers: { "Idempotency-Key": key } });
    expect(posted).toMatchObject({ status: 400, word: "invalid-idempotency-key" });
  });

  test("without one each post is another", async () => {
    const posting = new Posting();
    const cursors = [await posting.post(), await posting.post()].map(({ body }) => body["cursor"]);
    expect(new Set(cursors).size).toBe(2);
  });
});

describe("17.12 a body's bounds", () => {
  const policy = { publishers: "shared", maxMessageBytes: 33_554_432 };
  const image = { "Content-Type": "image/png" };

  test("16 MiB pass, and one byte more does not, whatever its length is said to be", async () => {
    const posting = new Posting(policy);
    const most = new Uint8Array(16 * MIB);
    expect((await posting.post({ body: most, headers: image })).status).toBe(200);
    const larger = new Uint8Array(16 * MIB + 1);
    for (const body of [larger, new Blob([larger]).stream()]) {
      expect(await posting.post({ body, headers: image })).toMatchObject({
        status: 413,
        word: "body-too-large",
      });
    }
  });

  test.each([
    ["chunks", image],
    ["a length that is said", { ...image, "Content-Length": String(16 * MIB) }],
  ])(
    "all that is held at a time has one as well, until it is let go: in %s",
    async (_, headers) => {
      const posting = new Posting(policy);
      const bodies = [openBody(), openBody(), openBody()];
      const posts = bodies.map(({ stream, controller }) => {
        controller.enqueue(new Uint8Array(16 * MIB));
        return posting.post({ body: stream, headers });
      });
      await vi.waitFor(async () => {
        expect(await posting.post()).toMatchObject({ status: 503, word: "topic-overloaded" });
      });
      expect((await posting.post()).headers.get("Retry-After")).toBe("1");
      for (const { controller } of bodies) controller.close();
      expect((await Promise.all(posts)).map(({ status }) => status)).toContain(200);
      expect((await posting.post()).status).toBe(200);
    },
  );

  test("one that is cut off is published whole or not at all, and is no failure of the hub's", async () => {
    const posting = new Posting();
    const { stream, controller } = openBody();
    controller.enqueue(new TextEncoder().encode('{"a":1}\n'));
    const posted = posting.post({ body: stream, headers: NDJSON });
    controller.error(new Error("The client has left"));
    expect(await posted).toMatchObject({ status: 400, word: "invalid-body" });
    expect((await posting.post()).body["cursor"]).toMatch(/-1$/);
  });

  test("a small one is read at once, by the length that it is said to have", async () => {
    const posting = new Posting();
    const reader = await posting.subscribe();
    const post = (body: string, length: number): Promise<{ readonly status: number }> =>
      posting.post({ body, headers: { "Content-Length": String(length) } });
    expect(await post("four", 4)).toMatchObject({ status: 200 });
    for (const length of [3, 5]) expect(await post("four", length)).toMatchObject({ status: 400 });
    expect(await post("last", 4)).toMatchObject({ status: 200 });
    expect(await reader.take(2)).toEqual(["four", "last"]);
  });

  test("a larger one than may be is refused before it comes, where its length is said", async () => {
    const pull = vi.fn<() => void>();
    const body = new ReadableStream<Uint8Array>({ pull }, { highWaterMark: 0 });
    const headers = { "Content-Length": String(16 * MIB + 1) };
    expect(await new Posting().post({ body, headers })).toMatchObject({ status: 413 });
    expect(pull).not.toHaveBeenCalled();
  });

  test("nothing is read of whoever may not publish", async () => {
    const posting = new Posting();
    const pull = vi.fn<() => void>();
    for (const headers of [
      { Authorization: "Bearer wrong" },
      { "Content-Type": "none" },
      { "Idempotency-Key": "a b" },
    ]) {
      const body = new ReadableStream<Uint8Array>({ pull }, { highWaterMark: 0 });
      expect((await posting.post({ body, headers })).status).toBeGreaterThanOrEqual(400);
    }
    expect(pull).not.toHaveBeenCalled();
  });
});

describe("17.9 who posts", () => {
  test.each([
    [{ Authorization: "" }, 401, "key-required"],
    [{ Authorization: "Basic a2V5" }, 401, "key-required"],
    [{ Authorization: "Bearer" }, 401, "key-rejected"],
    [{ Authorization: "Bearer another" }, 401, "key-rejected"],
    [{ Authorization: "Bearer e30.e30.e30" }, 200, "published"],
    [{ Authorization: "Bearer eyJhbGciOiJIUzI1NiJ9.e30.e30" }, 401, "token-rejected"],
  ])("with %j gets %i %s", async (headers, status, word) => {
    const posting = new Posting();
    posting.postgres.addKey({ keyId: 8, text: "e30.e30.e30", domain: posting.domain });
    expect(await posting.post({ headers })).toMatchObject({ status, word });
  });

  test("puts no key into the query", async () => {
    for (const name of ["apikey", "token"]) {
      expect(await new Posting().post({ query: `?${name}=key` })).toMatchObject({
        status: 400,
        word: "invalid-parameter",
      });
    }
  });

  test("14.1 17.13 is counted only where its credential opens nothing", async () => {
    await leaveRoomInMinute();
    const posting = new Posting({});
    const client = { "CF-Connecting-IP": crypto.randomUUID() };
    const conflict = { type: "refused", slug: "publisher-conflict" };
    const { namespace: TOPIC } = new ScriptedPosts(conflict);
    for (let n = 0; n < 40; n++) {
      expect((await posting.post({ headers: client, env: { TOPIC } })).status).toBe(409);
      expect((await posting.post({ headers: { ...client, "Content-Type": "x" } })).status).toBe(
        415,
      );
    }
    const wrong = { ...client, Authorization: "Bearer wrong" };
    for (let n = 0; n < 31; n++) await posting.post({ headers: wrong });
    expect(await posting.post({ headers: wrong })).toMatchObject({ status: 429 });
    expect((await posting.post({ headers: client })).status).toBe(200);
  });

  describe("14.15 by a token, refused for what it is,", () => {
    const SECRET = "a secret of at least 32 characters, for tests";
    const CONFLICT = { type: "refused", slug: "publisher-conflict" };
    let posting: Posting;
    let limit: CountingLimit;
    let client: string;
    let token: string;

    beforeEach(async () => {
      posting = new Posting({ tokenSecret: SECRET, tokenPublishers: true });
      client = crypto.randomUUID();
      token = await new SignJWT({
        authorization_details: [{ type: "wspubsub", actions: ["publish"], topics: ["*"] }],
      })
        .setProtectedHeader({ alg: "HS256" })
        .setAudience(`wspubsub:${posting.domain}`)
        .setSubject("user")
        .setExpirationTime("2h")
        .sign(new TextEncoder().encode(SECRET));
      limit = new CountingLimit(1);
    });

    async function post(answer: unknown, { credential = token, type = "text/plain" } = {}) {
      const { namespace: TOPIC } = new ScriptedPosts(answer);
      const headers = {
        "CF-Connecting-IP": client,
        Authorization: `Bearer ${credential}`,
        "Content-Type": type,
      };
      return (await posting.post({ headers, env: { TOPIC, REFUSED_POSTS: limit }, body: "" }))
        .status;
    }

    test("is counted, by its topic's answer or by its body; then no topic is asked", async () => {
      expect(await post(CONFLICT)).toBe(409);
      expect(await post(PUBLISHED, { type: "application/x-ndjson" })).toBe(400);
      expect(await post(new Error("was asked"))).toBe(429);
      expect(await post(PUBLISHED, { credential: "key" })).toBe(200);
    });

    test("is another's, or one by a key, or what was published, and is not counted", async () => {
      expect(await post(CONFLICT)).toBe(409);
      for (let n = 0; n < 3; n += 1) {
        expect(await post(PUBLISHED)).toBe(200);
        expect(await post({ type: "unpublished", problem: BUSY })).toBe(503);
        expect(await post(CONFLICT, { credential: "key" })).toBe(409);
      }
      expect(await post(CONFLICT)).toBe(409);
      expect(await post(PUBLISHED)).toBe(429);
      client = crypto.randomUUID();
      expect(await post(PUBLISHED)).toBe(200);
    });
  });

  test("14.1 a limit whose binding is missing is logged, and nobody is refused for it", async () => {
    const logged = vi.spyOn(console, "error").mockImplementation(() => {});
    const bindings = { FAILED_CREDENTIALS: undefined } as unknown as Partial<Env>;
    const headers = { Authorization: "Bearer wrong" };
    const posted = await new Posting().post({ headers, env: bindings });
    expect(posted).toMatchObject({ status: 401, word: "key-rejected" });
    const lines = logged.mock.calls.flat().filter((line) => String(line).includes("rate-limit"));
    expect(lines).toEqual([expect.stringContaining("FAILED_CREDENTIALS")]);
    logged.mockRestore();
  });
});

describe("what a topic answers", () => {
  let posting: Posting;

  beforeEach(() => {
    posting = new Posting({});
  });

  test("17.6 is told as it is, and no cache keeps it", async () => {
    const { namespace: TOPIC } = new ScriptedPosts(PUBLISHED);
    const posted = await posting.post({ env: { TOPIC } });
    expect(posted).toMatchObject({
      status: 200,
      body: { cursor: "c-1", count: 1, subscribers: 0 },
    });
    expect(Object.keys(posted.body)).toEqual(["cursor", "count", "subscribers"]);
    expect(posted.headers.get("Cache-Control")).toBe("no-store");
    expect(posted.headers.get("Access-Control-Allow-Origin")).toBe("*");
  });

  test("17.7 of a conflict says how to be rid of it", async () => {
    const { namespace: TOPIC } = new ScriptedPosts({ type: "refused", slug: "publisher-conflict" });
    const { status, body } = await posting.post({ env: { TOPIC } });
    expect(status).toBe(409);
    expect(body["detail"]).toContain("--publishers shared");
  });

  test("17.11 of a problem has its Retry-After", async () => {
    const { namespace: TOPIC } = new ScriptedPosts({ type: "unpublished", problem: BUSY });
    const { status, headers, body } = await posting.post({ env: { TOPIC } });
    expect({ status, retryAfter: headers.get("Retry-After") }).toEqual({
      status: 503,
      retryAfter: "3",
    });
    expect(headers.get("Access-Control-Expose-Headers")).toBe("Retry-After");
    expect(body).toMatchObject({ retryAfter: 3, detail: "Later" });
  });

  test("12.9 is asked again by the key store's fresh word, and the body is not read twice", async () => {
    const topic = new ScriptedPosts({ type: "needs", what: "recheck" }, PUBLISHED);
    await posting.post({ env: { TOPIC: new ScriptedPosts(PUBLISHED).namespace } });
    expect((await posting.post({ env: { TOPIC: topic.namespace } })).status).toBe(200);
    expect(topic.heard.map(({ admission }) => JSON.parse(admission) as object)).toMatchObject([
      { isFresh: false, isRechecked: false, role: "publisher", takeover: false },
      { isFresh: true, isRechecked: true },
    ]);
    const [first, second] = topic.heard;
    expect(second).toMatchObject({ id: first?.id, messages: ["text"] });
  });

  test("17.5 where the topic ended meanwhile, the same is asked once more, by the same id", async () => {
    const ended = Object.assign(new Error("reset"), { durableObjectReset: true });
    const topic = new ScriptedPosts(ended, PUBLISHED);
    expect((await posting.post({ env: { TOPIC: topic.namespace } })).status).toBe(200);
    expect(topic.heard).toHaveLength(2);
    expect(topic.heard[1]).toEqual(topic.heard[0]);
    const gone = new ScriptedPosts(ended);
    const passing = await posting.post({ env: { TOPIC: gone.namespace } });
    expect(passing).toMatchObject({ status: 503, word: "topic-unavailable" });
    // A page can read it as well.
    expect(passing.headers.get("Access-Control-Allow-Origin")).toBe("*");
  });

  test("of the version before is that it cannot, and of one to come that nobody knows", async () => {
    const lacking = new TypeError('The RPC receiver does not implement the method "publish".');
    for (const script of [lacking, { type: "of a version to come" }, null]) {
      const { namespace: TOPIC } = new ScriptedPosts(script);
      const posted = await posting.post({ env: { TOPIC } });
      expect(posted).toMatchObject({ status: 503, word: "topic-unavailable" });
      expect(posted.headers.get("Retry-After")).toBe("5");
    }
  });

  test("12.9 that the key is dead counts as a credential that opens nothing", async () => {
    await leaveRoomInMinute();
    const { namespace: TOPIC } = new ScriptedPosts({ type: "refused", slug: "key-rejected" });
    const headers = { "CF-Connecting-IP": crypto.randomUUID() };
    for (let n = 0; n < 31; n++) await posting.post({ headers, env: { TOPIC } });
    const stranger = { ...headers, Authorization: "Bearer other" };
    expect((await posting.post({ headers: stranger })).status).toBe(429);
  });
});

describe("17.1 the route", () => {
  test.each(["PUT", "PATCH"])("answers %s with what it takes", async (method) => {
    const posted = await new Posting().post({ method, body: null });
    expect(posted.status).toBe(405);
    expect(posted.headers.get("Allow")).toBe("GET, HEAD, POST, DELETE, OPTIONS");
  });

  test("lets pages of any origin post", async () => {
    const { status, headers } = await new Posting().post({
      method: "OPTIONS",
      body: null,
      headers: { Origin: "https://app.test", "Access-Control-Request-Method": "POST" },
    });
    expect(status).toBe(204);
    expect(Object.fromEntries(headers)).toMatchObject({
      allow: "GET, HEAD, POST, DELETE, OPTIONS",
      "access-control-allow-origin": "*",
      "access-control-allow-methods": "GET, HEAD, POST",
      "access-control-allow-headers": "Authorization, Content-Type, Idempotency-Key, Last-Event-ID",
    });
  });

  test("asks no object where they are set to lie in no place", async () => {
    const topic = new ScriptedPosts(PUBLISHED);
    const domain = new ScriptedDomain({});
    const bindings = { TOPIC: topic.namespace, DOMAIN: domain.namespace, HOME_REGION: "mars" };
    const posted = await new Posting().post({ env: bindings });
    expect(posted).toMatchObject({ status: 503, word: "topic-unavailable" });
    expect(topic.heard).toEqual([]);
  });
});

/** Pieces of bodies that parsers stumble over. */
const piece = fc.oneof(
  fc.constantFrom("\n", "\r\n", "\u{FEFF}", "€", "\0", '"', "{", "}", "[", "]", "\\", "\u2028", ""),
  fc.string({ unit: "binary", maxLength: 20 }),
  fc.json(),
);
const body = fc.oneof(
  fc.array(piece, { maxLength: 30 }).map((pieces) => new TextEncoder().encode(pieces.join(""))),
  fc.uint8Array({ maxLength: 200 }),
  fc
    .record({
      type: fc.constantFrom("publish", "ack", 1),
      id: fc.oneof(fc.string({ maxLength: 70 }), fc.constant(null)),
      after: fc.option(fc.string({ maxLength: 3 }), { nil: undefined }),
      messages: fc.array(
        fc.oneof(fc.string(), fc.record({ base64: fc.base64String() }), fc.anything()),
      ),
    })
    .map((frame) => new TextEncoder().encode(JSON.stringify(frame) ?? "")),
);
const contentType = fc.oneof(
  fc.constantFrom(
    "text/plain",
    "application/json",
    "application/x-ndjson",
    "application/vnd.wspubsub.v1+json",
    "application/x-ndjson;charset=x",
    "image/png",
    "text/",
    ";",
    "",
  ),
  fc.stringMatching(/^[\t -~]{0,30}$/),
);
const idempotencyKey = fc.option(fc.stringMatching(/^[ -~]{0,70}$/), { nil: undefined });

function isSameContent(message: Message | undefined, bytes: Uint8Array): boolean {
  const got =
    typeof message === "string" ? new TextEncoder().encode(message) : new Uint8Array(message ?? []);
  return got.toHex() === bytes.toHex();
}

test("17.2 whatever is posted is published whole or refused, and never a failure of the hub's", async () => {
  const posting = new Posting();
  const reader = await posting.subscribe();
  let offset = 0;
  await fc.assert(
    fc.asyncProperty(body, contentType, idempotencyKey, async (bytes, type, key) => {
      const posted = await posting.post({
        body: bytes,
        headers: { "Content-Type": type, ...(key !== undefined && { "Idempotency-Key": key }) },
      });
      expect([200, 400, 409, 413, 415, 422]).toContain(posted.status);
      const { count = 0, cursor = "" } = posted.body;
      const at = Number((cursor as string).split("-")[1] ?? 0);
      // Refused, or by an id that came before.
      if (at <= offset) return;
      expect(at).toBe(offset + Number(count));
      offset = at;
      const messages = (await reader.take(Number(count))) as Message[];
      const isWhole = messages.length > 1 || /json/.test(type) || isSameContent(messages[0], bytes);
      expect(isWhole).toBe(true);
    }),
    { numRuns: 400 },
  );
});

test("17.3 lines are the messages of a body that was made of them", async () => {
  const posting = new Posting();
  const line = fc
    .string({ unit: "grapheme", minLength: 1 })
    .filter((text) => text.trim() !== "" && !text.includes("\n"));
  const topic = env.TOPIC.getByName(`${posting.domain}/topic`);
  const reader = await posting.subscribe();
  await fc.assert(
    fc.asyncProperty(
      fc.array(line, { minLength: 1, maxLength: 50 }),
      fc.boolean(),
      async (lines, ends) => {
        const joined = lines.join("\n") + (ends ? "\n" : "");
        await posting.post({ body: joined, headers: NDJSON });
        expect(await reader.take(lines.length)).toEqual(lines);
      },
    ),
    { numRuns: 50 },
  );
  expect(await topic.describe()).toMatchObject({ subscribers: 1 });
});
