/**
 * The first error plane: what a refused handshake, or a refused frame of the stream, says, as RFC 9457
 * problem details. Owns the stable slugs with status, title and headers. A detail never repeats what
 * the client sent, but for the segments of a topic that is to be written as one.
 */

/** The stable name of a refusal. */
export type ProblemSlug =
  | "not-found"
  | "method-not-allowed"
  | "upgrade-required"
  | "unsupported-websocket-version"
  | "invalid-address"
  | "invalid-body"
  | "invalid-idempotency-key"
  | "body-too-large"
  | "unsupported-media-type"
  | "not-acceptable"
  | "invalid-parameter"
  | "key-required"
  | "key-rejected"
  | "key-in-path"
  | "token-required"
  | "token-rejected"
  | "ticket-rejected"
  | "topic-not-live"
  | "publisher-conflict"
  | "too-many-publishers"
  | "too-many-subscribers"
  | "too-many-requests"
  | "topic-full"
  | "topic-unavailable"
  | "topic-overloaded"
  | "id-reused"
  | "out-of-order"
  | "topic-shared"
  | "message-too-large"
  | "invalid-frame"
  | "key-store-unavailable"
  | "token-expired"
  | "token-lacks-publish"
  | "token-lacks-subscribe"
  | "token-publishers-off"
  | "internal"
  | "too-many-topics"
  | "too-many-waiting";

/** What all refusals of a slug have in common. */
export interface ProblemKind {
  readonly status: number;
  readonly title: string;
  /**
   * The code that explains a refusal to a browser: the status's last two digits after 44 where trying
   * again, with backoff, may help, and after 45 where it does not; of a 5xx its last digit after 445, since
   * 4403 would read like "forbidden".
   */
  readonly closeCode: number;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Every refusal there is; PROTOCOL.md, section 4, and 10.11 list them. */
export const PROBLEMS: Readonly<Record<ProblemSlug, ProblemKind>> = {
  "not-found": { status: 404, closeCode: 4504, title: "There is nothing at this path" },
  "method-not-allowed": {
    status: 405,
    closeCode: 4505,
    title: "This method is not allowed here",
    headers: { Allow: "GET" },
  },
  "upgrade-required": {
    status: 426,
    closeCode: 4526,
    title: "This is a WebSocket endpoint",
    // RFC 9110, section 15.5.22: a 426 names the protocol, and Upgrade is a hop-by-hop header.
    headers: { Upgrade: "websocket", Connection: "Upgrade" },
  },
  "unsupported-websocket-version": {
    status: 400,
    closeCode: 4500,
    title: "This WebSocket version is not supported",
    // RFC 6455, section 4.4.
    headers: { "Sec-WebSocket-Version": "13" },
  },
  "invalid-address": { status: 400, closeCode: 4500, title: "The address is invalid" },
  "invalid-parameter": { status: 400, closeCode: 4500, title: "A query parameter is invalid" },
  "invalid-body": { status: 400, closeCode: 4500, title: "The body cannot be published" },
  "invalid-idempotency-key": {
    status: 400,
    closeCode: 4500,
    title: "The Idempotency-Key is invalid",
  },
  "body-too-large": {
    status: 413,
    closeCode: 4513,
    title: "The body is larger than the hub takes",
  },
  "not-acceptable": {
    status: 406,
    closeCode: 4506,
    title: "There is no answer of a kind that the client takes",
  },
  "unsupported-media-type": {
    status: 415,
    closeCode: 4515,
    title: "The body is of a kind that the hub does not take",
    // RFC 9110, section 15.5.16.
    headers: { "Accept-Encoding": "identity" },
  },
  "key-required": {
    status: 401,
    closeCode: 4501,
    title: "An API key is required",
    headers: { "WWW-Authenticate": 'Bearer realm="wspubsub"' },
  },
  "key-rejected": {
    status: 401,
    closeCode: 4501,
    title: "The API key is not valid for this domain",
    headers: { "WWW-Authenticate": 'Bearer realm="wspubsub"' },
  },
  "key-in-path": { status: 403, closeCode: 4503, title: "This domain takes no keys in paths" },
  "token-required": {
    status: 401,
    closeCode: 4501,
    title: "This domain's topics are private",
    headers: { "WWW-Authenticate": 'Bearer realm="wspubsub"' },
  },
  "token-rejected": {
    status: 401,
    closeCode: 4501,
    title: "The token does not open this topic",
    headers: { "WWW-Authenticate": 'Bearer realm="wspubsub", error="invalid_token"' },
  },
  "ticket-rejected": {
    status: 401,
    closeCode: 4401,
    title: "The ticket is unknown, used or too old",
    headers: { "WWW-Authenticate": 'Bearer realm="wspubsub"' },
  },
  "topic-not-live": { status: 404, closeCode: 4404, title: "Nobody publishes to this topic" },
  "publisher-conflict": { status: 409, closeCode: 4409, title: "The topic has a publisher" },
  "too-many-publishers": {
    status: 503,
    closeCode: 4453,
    title: "The topic has as many publishers as its domain allows",
    headers: { "Retry-After": "30" },
  },
  "too-many-subscribers": {
    status: 503,
    closeCode: 4453,
    title: "The topic has as many subscribers as its domain allows",
    headers: { "Retry-After": "30" },
  },
  "too-many-requests": {
    status: 429,
    closeCode: 4429,
    title: "Too much in too short a time",
    headers: { "Retry-After": "60" },
  },
  "topic-full": {
    status: 503,
    closeCode: 4453,
    title: "The topic holds as many sockets as it can",
    headers: { "Retry-After": "30" },
  },
  "topic-unavailable": {
    status: 503,
    closeCode: 4453,
    title: "The topic cannot be reached",
    headers: { "Retry-After": "5" },
  },
  "topic-overloaded": {
    status: 503,
    closeCode: 4453,
    title: "More is waiting than the topic can hold",
  },
  "id-reused": {
    status: 422,
    closeCode: 4522,
    title: "The id stands for another publish",
  },
  "out-of-order": {
    status: 409,
    closeCode: 4409,
    title: "The publish before it was not published",
  },
  "topic-shared": {
    status: 409,
    closeCode: 4509,
    title: "A shared topic is not finished by one of its publishers",
  },
  "message-too-large": {
    status: 413,
    closeCode: 4513,
    title: "A message is larger than the domain allows",
  },
  "invalid-frame": {
    status: 400,
    closeCode: 4500,
    title: "The frame is not one of wspubsub.v1",
  },
  "key-store-unavailable": {
    status: 503,
    closeCode: 4453,
    title: "The key store cannot be reached",
    headers: { "Retry-After": "5" },
  },
  "token-expired": {
    status: 401,
    closeCode: 4401,
    title: "The token has expired",
    headers: { "WWW-Authenticate": 'Bearer realm="wspubsub", error="invalid_token"' },
  },
  "token-lacks-publish": {
    status: 403,
    closeCode: 4503,
    title: "The token does not let its bearer publish",
    headers: { "WWW-Authenticate": 'Bearer realm="wspubsub", error="insufficient_scope"' },
  },
  "token-lacks-subscribe": {
    status: 403,
    closeCode: 4503,
    title: "The token does not let its bearer subscribe",
    headers: { "WWW-Authenticate": 'Bearer realm="wspubsub", error="insufficient_scope"' },
  },
  "token-publishers-off": {
    status: 403,
    closeCode: 4503,
    title: "This domain takes no tokens of publishers",
  },
  internal: { status: 500, closeCode: 4450, title: "The hub failed" },
  "too-many-topics": {
    status: 503,
    closeCode: 4453,
    title: "The domain has as many topics as it allows",
    headers: { "Retry-After": "30" },
  },
  "too-many-waiting": {
    status: 503,
    closeCode: 4453,
    title: "As many wait for the topic as may",
    headers: { "Retry-After": "30" },
  },
};

/** A refusal with its explanation for this occurrence. */
export interface Problem {
  readonly slug: ProblemSlug;
  readonly detail: string;
  /** Seconds after which it makes sense to try again, where that is known. */
  readonly retryAfter?: number;
}

/** The members of an `application/problem+json` body (RFC 9457, section 3). */
export interface ProblemDetails {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly retryAfter?: number;
}

/** Renders a problem as its RFC 9457 members; `type` is `urn:wspubsub:problem:SLUG`. */
export function problemDetails({ slug, ...occurrence }: Problem): ProblemDetails {
  const { status, title } = PROBLEMS[slug];
  return { type: `urn:wspubsub:problem:${slug}`, title, status, ...occurrence };
}
