/**
 * PROTOCOL.md, sections 1, 4 and 12 to 15, against the real hub over TCP, since libraries would not send this:
 * whatever comes, every request is answered, none with 500, nobody is let in, and the hub goes on.
 */
import { randomBytes } from "node:crypto";
import fc from "fast-check";
import { describe, expect, inject, test } from "vitest";
import { freshDomain, freshTopic, topicUrls } from "../support/addresses.ts";
import { open, ownAddress } from "../support/client.ts";
import { handshake, RawSocket } from "../support/raw-socket.ts";

const { url, key, domain, sqlEndpoint } = inject("hub");
const { host } = new URL(url);
const PREFIX = "base64url.bearer.authorization.wspubsub.";

/** Sends a request as it is and returns the status of the answer; 0 when the connection is closed without one. */
async function statusOf(request: string): Promise<number> {
  const raw = await RawSocket.to(url);
  try {
    raw.write(request);
    return Number((await raw.head()).split(" ")[1]);
  } catch {
    // What is no HTTP at all may be answered by closing the connection.
    return 0;
  } finally {
    raw.destroy();
  }
}

const nasty = fc.oneof(
  fc.constantFrom(
    "",
    ".",
    "..",
    "%",
    "%zz",
    "%2F",
    "%252F",
    "%00",
    "%0d%0a",
    "%C0%AF",
    "%ED%A0%80",
  ),
  fc.constantFrom(
    "\\",
    "//",
    "a/b",
    "%5C",
    "?",
    "#",
    "x".repeat(5000),
    "%61".repeat(2000),
    "é",
    "\u0001",
  ),
  fc.stringMatching(/^[!-~]{1,30}$/),
);

const token = fc.oneof(
  fc.constantFrom(
    "eyJhbGciOiJub25lIn0.e30.",
    "eyJhbGciOiJIUzI1NiJ9.e30.AA",
    `eyJ${"A".repeat(9000)}.e30.AA`,
  ),
  fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes).toString("base64url")),
  fc.stringMatching(/^[!-~]{1,60}$/),
);

const header = fc.oneof(
  token.map((text) => `Authorization: Bearer ${text}`),
  token.map((text) => `Authorization: bearer   ${text}`),
  fc.constantFrom("Authorization: Bearer", "Authorization: Basic eDp5", "authorization:Bearer\tx"),
  token.map((text) => `Sec-WebSocket-Protocol: ${PREFIX}${text}`),
  fc
    .array(token, { minLength: 2, maxLength: 30 })
    .map((all) => `Sec-WebSocket-Protocol: ${all.map((text) => PREFIX + text).join(", ")}`),
  fc.constantFrom(
    'wspubsub-admission: {"v":1,"role":"publisher","takeover":true,"heartbeatSeconds":null}',
    'wspubsub-admission: {"v":1,"role":"subscriber","policy":null,"grant":{"keyId":1}}',
    "wspubsub-refusal: topic-not-live",
    "CF-Connecting-IP: nobody, at all",
    "Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=99",
    "Content-Length: 0",
    "X-Forwarded-For: 127.0.0.1",
  ),
);

/** Requests that have no good credential; several of a header's name are as hostile as any. */
const hostile = fc.record({
  method: fc.constantFrom("GET", "GET", "GET", "POST", "DELETE", "OPTIONS", "BREW"),
  place: fc.constantFrom(
    (part: string) => `/ws/pub/${part}/${domain}/topic`,
    (part: string) => `/ws/pub/${domain}/${part}`,
    (part: string) => `/ws/pub/${domain}/topic?takeover=${part}`,
    (part: string) => `/v1/domains/${domain}/topics?after=${part}`,
    (part: string) => `/v1/domains/${domain}/topics/${part}/tickets`,
    (part: string) => `/v1/domains/${domain}/keys/${part}/sync`,
    (part: string) => `/v1/domains/${part}/keys/1`,
    (part: string) => `/${part}`,
  ),
  part: nasty.filter((part) => part !== key),
  headers: fc.array(header, { maxLength: 4 }),
});

describe("hostile requests over TCP", () => {
  test("are all answered, none with 500, and nobody is let in", async () => {
    await fc.assert(
      fc.asyncProperty(hostile, async ({ method, place, part, headers }) => {
        const sent = [`CF-Connecting-IP: ${ownAddress()}`, ...headers];
        const status = await statusOf(handshake(method, place(part), host, sent));
        // 204 is the answer to a preflight.
        const isFine = status === 0 || status === 204 || (status >= 400 && status !== 500);
        expect(isFine ? "fine" : `${status} to ${method} ${place(part)}`).toBe("fine");
      }),
      { numRuns: 400 },
    );
    const { pub, sub } = freshTopic();
    const publisher = await open(pub);
    const subscriber = await open(sub);
    publisher.send("as ever");
    expect(await subscriber.texts(1)).toEqual(["as ever"]);
  });

  test.runIf(sqlEndpoint !== null)("open no private topic", async () => {
    const secret = randomBytes(32).toString("base64url");
    const of = await freshDomain({ subscribers: "token", token_secret: secret });
    const { pub, sub } = topicUrls(url, of);
    await open(pub);
    const { pathname } = new URL(sub);
    const headers = fc.array(header, { maxLength: 3 });
    await fc.assert(
      fc.asyncProperty(headers, nasty, async (sent, ticket) => {
        const all = [`CF-Connecting-IP: ${ownAddress()}`, ...sent];
        const status = await statusOf(handshake("GET", `${pathname}?ticket=${ticket}`, host, all));
        const isRefused = status === 0 || (status >= 400 && status < 500);
        expect(isRefused ? "refused" : status).toBe("refused");
      }),
      { numRuns: 200 },
    );
  });

  test("4.4 headers that look like the hub's own decide nothing", async () => {
    const { pub, sub } = freshTopic();
    const { pathname } = new URL(sub);
    const admission = JSON.stringify({
      v: 1,
      role: "subscriber",
      policy: { publishers: "shared" },
    });
    const forged = [`wspubsub-admission: ${admission}`, "wspubsub-refusal: policy-needed"];
    expect(await statusOf(handshake("GET", pathname, host, forged))).toBe(404);
    await open(pub);
    expect(await statusOf(handshake("GET", pathname, host, forged))).toBe(101);
  });

  test("a request that is far too long, or never ends, costs nobody else anything", async () => {
    const unfinished = await RawSocket.to(url);
    unfinished.write("GET /ws/sub/");
    expect(await statusOf(`GET /${"x".repeat(100_000)} HTTP/1.1\r\n\r\n`)).not.toBe(500);
    const { pub } = freshTopic();
    await (await open(pub)).close();
    unfinished.destroy();
  });
});
