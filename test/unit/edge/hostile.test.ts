/**
 * PROTOCOL.md, sections 1 to 4: whatever a client sends, the edge answers with a problem of RFC 9457, never with
 * a failure of its own, and lets nobody in. (The hub of the unit tests has no key store: what gets as far as
 * that is 503.)
 */
import { exports } from "cloudflare:workers";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ADMISSION_HEADER, REFUSAL_HEADER } from "../../../src/core/admission.ts";
import { CREDENTIAL_PREFIX } from "../../../src/core/subprotocol.ts";

const REFUSALS = [400, 401, 403, 404, 405, 426, 429, 503];

const HANDSHAKE = { Upgrade: "websocket", "Sec-WebSocket-Version": "13" };

/** Pieces of paths that parsers stumble over. */
const segment = fc.oneof(
  fc.constantFrom(
    ..."ws pub sub v1 domains topics keys tickets sync test 7 0 -1 1e9 99999999999".split(" "),
    ..."%2F %2f %25 %2525 %00 %0a %7F %80 %C0%AF %ED%A0%80 %F4%90%80%80 %zz % %% %2 .".split(" "),
    ..."%2e %2e%2e .. ... \\ %5c : * ; = @ ~ %F0%9F%98%80 %E2%80%AE %C2%A0 + & ".split(" "),
    "x".repeat(300),
    "%61".repeat(300),
  ),
  fc.webSegment(),
  fc
    .string({ unit: "grapheme", maxLength: 20 })
    .map((text) => encodeURIComponent(text.toWellFormed())),
);

const path = fc.oneof(
  fc.array(segment, { maxLength: 8 }).map((segments) => `/${segments.join("/")}`),
  fc
    .tuple(
      fc.constantFrom("/ws/pub/", "/ws/sub/", "/v1/domains/", "/v1/domains/test/topics/"),
      fc.array(segment, { minLength: 1, maxLength: 4 }),
    )
    .map(([root, segments]) => root + segments.join("/")),
);

const parameter = fc.tuple(
  fc.constantFrom("since", "gap", "takeover", "heartbeat", "ticket", "limit", "after", "x"),
  fc.oneof(segment, fc.constantFrom("earliest", "-5", "30s", "close", "1", "0", "1e9", "NaN")),
);
const query = fc
  .array(parameter, { maxLength: 4 })
  .map((all) => all.map(([name, value]) => `${name}=${value}`).join("&"));

function encodeBase64(bytes: Uint8Array): string {
  return bytes.toBase64({ alphabet: "base64url", omitPadding: true });
}

const credential = fc.oneof(
  fc.uuid(),
  fc.stringMatching(/^[!-~]{0,40}$/),
  fc.stringMatching(/^[!-~]{257,400}$/),
  fc.tuple(fc.json(), fc.json(), fc.base64String()).map(([head, payload, signature]) => {
    const [first, second] = [head, payload].map((text) =>
      encodeBase64(new TextEncoder().encode(text)),
    );
    return `${first}.${second}.${signature}`;
  }),
  fc.constantFrom(
    "eyJhbGciOiJub25lIn0.e30.",
    "eyJhbGciOiJIUzI1NiJ9.e30.AA",
    `eyJ${"a".repeat(9000)}.e30.AA`,
    "..",
    "eyJ..",
  ),
);

const authorization = fc.oneof(
  credential.map((text) => `Bearer ${text}`),
  fc.constantFrom(
    "Bearer",
    "bearer ",
    "BEARER  x y",
    "Basic dGVzdDp0ZXN0",
    "Bearer\tx",
    ",",
    "Negotiate",
  ),
  credential,
);

const offer = fc.oneof(
  fc.constantFrom("wspubsub.v1", "wspubsub.raw", "chat", "", " ", ",", "wspubsub.v1 wspubsub.raw"),
  fc.uint8Array({ maxLength: 40 }).map((bytes) => CREDENTIAL_PREFIX + encodeBase64(bytes)),
  fc.stringMatching(/^[!-~]{0,30}$/).map((text) => CREDENTIAL_PREFIX + text),
);
const offers = fc.oneof(
  fc.array(offer, { maxLength: 4 }).map((all) => all.join(", ")),
  fc.array(offer, { minLength: 100, maxLength: 200 }).map((all) => all.join(",")),
);

/** What an object would believe, if a client could send it. */
const forged = fc.constantFrom(
  JSON.stringify({ v: 1, role: "publisher", takeover: true, heartbeatSeconds: null, policy: {} }),
  JSON.stringify({ v: 1, role: "subscriber", policy: null, grant: { keyId: 1 } }),
  "",
  "{",
);

const headers = fc.record(
  {
    Authorization: authorization,
    "Sec-WebSocket-Protocol": offers,
    "Sec-WebSocket-Version": fc.constantFrom("13", "13", "13", "8", "", "13, 8", "+13", "0x0d"),
    Upgrade: fc.constantFrom(
      "websocket",
      "WebSocket",
      "h2c, websocket",
      "h2c",
      "",
      "websocket;q=1",
    ),
    "CF-Connecting-IP": fc.oneof(
      fc.ipV4(),
      fc.ipV6(),
      fc.constantFrom("", "::", ":::", "1.2.3.4, 5.6.7.8", "x".repeat(1000)),
    ),
    [ADMISSION_HEADER]: forged,
    [REFUSAL_HEADER]: fc.constantFrom("topic-not-live", "policy-needed", "nonsense"),
  },
  { requiredKeys: [] },
);

const request = fc.record({
  method: fc.constantFrom("GET", "GET", "GET", "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"),
  path,
  query,
  headers,
  isHandshake: fc.boolean(),
});

describe("hostile requests", () => {
  test("are refused with a problem, and never fail", async () => {
    await fc.assert(
      fc.asyncProperty(
        request,
        async ({ method, path: at, query: asked, headers: sent, isHandshake }) => {
          const url = URL.parse(`https://hub.test${at}?${asked}`);
          fc.pre(url !== null);
          const {
            status,
            headers: answer,
            body,
          } = await exports.default.fetch(url, {
            // With an Upgrade header the runtime takes a GET alone.
            method: isHandshake ? "GET" : method,
            headers: isHandshake ? { ...HANDSHAKE, ...sent } : { ...sent, Upgrade: "" },
          });
          await body?.cancel();
          // A preflight of the one route that pages of other origins may ask.
          const isPreflight = method === "OPTIONS" && status === 204;
          expect(isPreflight ? 404 : status).toBeOneOf(REFUSALS);
          expect(answer.get("Content-Type")).toBe(isPreflight ? null : "application/problem+json");
        },
      ),
      { numRuns: 2000 },
    );
  });

  test("1.7 4.6 are explained, where they ask for it, by a code and nothing of theirs", async () => {
    await fc.assert(
      fc.asyncProperty(fc.tuple(path, credential, offers), async ([at, text, offered]) => {
        const url = URL.parse(`https://hub.test${at}?explain=1`);
        fc.pre(url !== null);
        const response = await exports.default.fetch(url, {
          headers: {
            ...HANDSHAKE,
            Authorization: `Bearer ${text}`,
            "Sec-WebSocket-Protocol": offered,
          },
        });
        const agreed = response.headers.get("Sec-WebSocket-Protocol");
        expect([null, "wspubsub.v1", "wspubsub.raw"]).toContain(agreed);
        const close = await closeOf(response);
        expect(close ?? "4400 internal").toMatch(/^4[45]\d\d [a-z-]+$/);
      }),
      { numRuns: 300 },
    );
  });
});

/** How a socket was closed, `null` where there is none. */
async function closeOf({ webSocket, body }: Response): Promise<string | null> {
  await body?.cancel();
  if (webSocket === null) return null;
  const closed = new Promise<string>((resolve) => {
    webSocket.addEventListener("close", ({ code, reason }) => resolve(`${code} ${reason}`));
  });
  webSocket.accept();
  return closed;
}
