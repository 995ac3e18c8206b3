/**
 * Requests that mean no good, as fast-check makes them, down to what libraries refuse to send. Texts are
 * bytes, one a character. Knows nothing of the hub's code.
 */
import fc from "fast-check";

/** A request as it is sent, but for the headers that every request needs. */
export interface HostileRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: readonly string[];
}

const PREFIX = "base64url.bearer.authorization.wspubsub.";

/** What parsers of paths and parameters stumble over. */
export const segments: fc.Arbitrary<string> = fc.oneof(
  fc.constantFrom(
    ...". .. %2e%2e .%2e % %2 %zz %2F %252F %25252e %00 %7F %0d%0a %C0%AF %E0%80%AF %FF %5C".split(
      " ",
    ),
    ..."%ED%A0%80 %F4%90%80%80 \\ \\..\\ // a/b ? # ; & = @ : [ {} ^ ` ' <> * null 0 -1 1".split(
      " ",
    ),
    ..."2147483648 1e9 \xc3\xa9 \xff \x01 \t ".split(" "),
    " ",
    "x".repeat(5000),
    "%61".repeat(3000),
    "%F0%9F%98%80".repeat(60),
    "/".repeat(500),
  ),
  fc.stringMatching(/^[!-~]{1,40}$/),
  fc.uint8Array({ maxLength: 30 }).map((bytes) => Array.from(bytes, percentEncoded).join("")),
);

/** The same, and bytes that header values may hold, too. */
const values = fc.oneof(
  segments,
  fc.stringMatching(/^[\t -~\x80-\xff]{1,60}$/),
  fc.constant(":".repeat(3000)),
);

/** Secrets with one character changed. */
export function nearlyRight(secrets: readonly string[]): fc.Arbitrary<string> {
  return fc
    .record({
      secret: fc.constantFrom(...secrets),
      place: fc.nat(10_000),
      change: fc.constantFrom("", "A", "z", "0", "-", ".", "%41", "\xff"),
    })
    .map(({ secret, place, change }) => {
      // A token's signature may be written in more ways than one (RFC 4648, section 3.5): it stays as it is.
      const at = place % Math.max(secret.lastIndexOf("."), secret.length - 1);
      const isOther = secret[at] !== change;
      return isOther ? secret.slice(0, at) + change + secret.slice(at + 1) : `${secret}x`;
    });
}

/** The ways to present credentials in headers: mostly right ones. */
export function headersWith(credentials: fc.Arbitrary<string>): fc.Arbitrary<string> {
  const schemes = fc.constantFrom("bearer   ", "BEARER ", "Bearer\t", "Bearer", "Basic ", "");
  const ends = fc.constantFrom("", "=", "==", "+", " ", ", wspubsub.v1", ",,");
  return fc.oneof(
    { weight: 4, arbitrary: credentials.map((text) => `Authorization: Bearer ${text}`) },
    { weight: 2, arbitrary: credentials.map((text) => offerOf([text])) },
    fc.tuple(schemes, credentials).map(([scheme, text]) => `aUTHORIZATION:${scheme}${text}`),
    credentials.map((text) => `Authorization: Bearer ${text}, Bearer ${text}`),
    fc.tuple(credentials, ends, fc.nat(2)).map(([text, end, cut]) => {
      const offer = offerOf([text]);
      return offer.slice(0, offer.length - cut) + end;
    }),
    fc
      .array(credentials, { minLength: 2, maxLength: 200, size: "max" })
      .map((all) => offerOf(all.map((text) => text.slice(0, 100)))),
  );
}

const ADMITTED = {
  v: 1,
  subprotocol: null,
  policy: {
    publishers: "shared",
    graceSeconds: 1,
    historyMessages: 0,
    historySeconds: 0,
    subscribers: "open",
    maxMessageBytes: 9999,
    messagesPerSecond: null,
  },
  grant: null,
  isRechecked: true,
  isFresh: true,
};
const PUBLISHER = { ...ADMITTED, role: "publisher", takeover: true, heartbeatSeconds: null };
const SUBSCRIBER = { ...ADMITTED, role: "subscriber", since: null, gap: "skip" };

/** What the edge tells an object, and an object the edge, as a client may try to. */
export const FORGED_HEADERS: readonly string[] = [
  `wspubsub-admission: ${JSON.stringify(PUBLISHER)}`,
  `wspubsub-admission: ${JSON.stringify(SUBSCRIBER)}`,
  "wspubsub-admission: {",
  "wspubsub-refusal: policy-needed",
  "wspubsub-refusal: key-stale",
  'wspubsub-answer: {"type":"needs","what":"recheck"}',
];

/** Headers that nobody asked for. */
export const otherHeaders: fc.Arbitrary<string> = fc.oneof(
  fc.constantFrom(...FORGED_HEADERS),
  values.map((value) => `CF-Connecting-IP: ${value}`),
  values.map((value) => `Sec-WebSocket-Protocol: ${value}`),
  values.map((value) => `Sec-WebSocket-Extensions: permessage-deflate; ${value}`),
  values.map((value) => `Origin: ${value}`),
  fc.constantFrom("X-Forwarded-For: 127.0.0.1", "X-HTTP-Method-Override: GET", "Cookie: a=b"),
);

/** The headers of a handshake that is in order. */
export const HANDSHAKE: readonly string[] = [
  "Upgrade: websocket",
  "Connection: Upgrade",
  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
  "Sec-WebSocket-Version: 13",
];

/** Those of any: some are missing, another is there twice, or not what it should be. */
const handshakes = fc.oneof(
  { weight: 5, arbitrary: fc.constant(HANDSHAKE) },
  { weight: 1, arbitrary: fc.shuffledSubarray([...HANDSHAKE]) },
  {
    weight: 1,
    arbitrary: fc
      .tuple(
        fc.subarray([...HANDSHAKE]),
        fc.constantFrom("Upgrade", "Connection", "Sec-WebSocket-Key", "Sec-WebSocket-Version"),
        fc.oneof(values, fc.constantFrom("WebSocket", "h2c, websocket", "close", "8", "013", "")),
      )
      .map(([some, name, value]) => [...some, `${name}: ${value}`]),
  },
);

const parameters = fc.tuple(
  fc.constantFrom("since", "gap", "takeover", "heartbeat", "ticket", "explain", "limit", "after"),
  fc.oneof(fc.constantFrom("0", "1", "earliest", "-5", "30s", "close"), segments),
);

/** A query; half of all want to be told why they are refused. */
const queries = fc
  .tuple(
    fc.constantFrom("explain=1", "x"),
    fc.array(parameters, { maxLength: 2 }).map((all) => all.map((pair) => pair.join("="))),
  )
  .map(([first, others]) => [first, ...others].join("&"));

/** Handshakes to any of some paths, with some of these headers besides. */
export function handshakesTo(
  paths: fc.Arbitrary<string>,
  headers: fc.Arbitrary<string>,
): fc.Arbitrary<HostileRequest> {
  return fc
    .tuple(paths, queries, handshakes, fc.array(headers, { maxLength: 3 }))
    .map(([path, query, own, others]) => ({
      method: "GET",
      path: `${path}?${query}`,
      headers: [...own, ...others],
    }));
}

/** Other requests: workerd takes an Upgrade header with GET alone. */
export function plainRequestsTo(
  paths: fc.Arbitrary<string>,
  headers: fc.Arbitrary<string>,
): fc.Arbitrary<HostileRequest> {
  return fc.record({
    method: fc.constantFrom(
      ..."GET GET POST DELETE HEAD PUT PATCH OPTIONS PROPFIND BREW".split(" "),
    ),
    path: fc.tuple(paths, queries).map((parts) => parts.join("?")),
    headers: fc.array(headers, { maxLength: 4 }),
  });
}

function offerOf(credentials: readonly string[]): string {
  const offers = credentials.map((text) => {
    return PREFIX + Buffer.from(text, "latin1").toString("base64url");
  });
  return `Sec-WebSocket-Protocol: ${offers.join(", ")}`;
}

function percentEncoded(byte: number): string {
  return `%${byte.toString(16).padStart(2, "0")}`;
}
