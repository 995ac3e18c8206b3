/**
 * The checks of a socket request that need neither database nor object, as guard clauses, cheapest
 * first: path, method, Upgrade, version, key, address, parameters. Owns the two routes of the original.
 */
import { decodeSegment, parseAddress, type Address } from "../core/address.ts";
import {
  parsePublisherOptions,
  parseSubscriberOptions,
  type PublisherOptions,
  type SubscriberOptions,
} from "../core/connect-options.ts";
import type { Problem, ProblemSlug } from "../core/problem.ts";
import { err, ok, type Result } from "../core/result.ts";
import { STREAM_PROTOCOL, type Protocol } from "../core/stream.ts";

/** A socket request in order. */
export type Handshake = PublisherHandshake | SubscriberHandshake;

/** That of a publisher. */
export interface PublisherHandshake {
  readonly role: "publisher";
  readonly address: Address;
  readonly protocol: Protocol;
  readonly options: PublisherOptions;
  readonly apiKey: string;
}

/** That of a subscriber. */
export interface SubscriberHandshake {
  readonly role: "subscriber";
  readonly address: Address;
  readonly protocol: Protocol;
  readonly options: SubscriberOptions;
}

/** UTF-16 code units; longer than any key that `apikeys` can hold. */
const MAX_KEY_LENGTH = 256;

/** Checks a request to `/ws/pub/…` or `/ws/sub/…`. */
export function checkHandshake(request: Request): Result<Handshake, Problem> {
  const url = new URL(request.url);
  const route = matchRoute(url.pathname);
  if (route === null) {
    return refuse("not-found", "Connect to /ws/pub/ApiKey/Domain/Topic or /ws/sub/Domain/Topic");
  }
  if (request.method !== "GET") {
    return refuse("method-not-allowed", "Open a WebSocket with a GET request");
  }
  // RFC 6455, section 4.2.1: the value is compared without regard to case, and may be a list.
  if (!hasToken(request.headers.get("Upgrade"), "websocket")) {
    return refuse("upgrade-required", 'Send "Upgrade: websocket", as every WebSocket client does');
  }
  if (request.headers.get("Sec-WebSocket-Version") !== "13") {
    return refuse("unsupported-websocket-version", 'Send "Sec-WebSocket-Version: 13"');
  }
  const apiKey = route.rawKey === null ? null : decodeSegment(route.rawKey);
  if (route.rawKey !== null && apiKey === null) {
    return refuse("invalid-address", "The API key is not valid percent-encoded UTF-8");
  }
  const address = parseAddress(route.rawDomain, route.rawTopic);
  if (!address.ok) return refuse("invalid-address", address.error);
  const protocol = offersStream(request) ? "stream" : "raw";
  if (apiKey === null) {
    const options = parseSubscriberOptions(url.searchParams);
    if (!options.ok) return refuse("invalid-parameter", options.error);
    return ok({ role: "subscriber", address: address.value, protocol, options: options.value });
  }

  const options = parsePublisherOptions(url.searchParams);
  if (!options.ok) return refuse("invalid-parameter", options.error);
  if (apiKey === "") {
    return refuse("key-required", "Put the API key into the path: /ws/pub/ApiKey/Domain/Topic");
  }
  if (/\p{Cc}/u.test(apiKey)) {
    return refuse("invalid-address", "The API key contains a control character");
  }
  if (apiKey.length > MAX_KEY_LENGTH) {
    return refuse("invalid-address", `The API key has more than ${MAX_KEY_LENGTH} characters`);
  }
  return ok({
    role: "publisher",
    address: address.value,
    protocol,
    options: options.value,
    apiKey,
  });
}

interface Route {
  /** `null` on the subscriber's route. */
  readonly rawKey: string | null;
  readonly rawDomain: string;
  readonly rawTopic: string;
}

/** Splits the path itself: a router would decode the segments, and an encoded slash is the topic's. */
function matchRoute(pathname: string): Route | null {
  const [root, ws, kind, ...rest] = pathname.split("/");
  if (root !== "" || ws !== "ws") return null;
  if (kind === "pub" && rest.length === 3) {
    const [rawKey = "", rawDomain = "", rawTopic = ""] = rest;
    return { rawKey, rawDomain, rawTopic };
  }
  if (kind === "sub" && rest.length === 2) {
    const [rawDomain = "", rawTopic = ""] = rest;
    return { rawKey: null, rawDomain, rawTopic };
  }
  return null;
}

function hasToken(header: string | null, token: string): boolean {
  return (header ?? "").split(",").some((item) => item.trim().toLowerCase() === token);
}

/** Whether the stream is among the offered subprotocols, whose names are case-sensitive. */
function offersStream(request: Request): boolean {
  const offered = request.headers.get("Sec-WebSocket-Protocol") ?? "";
  return offered.split(",").some((name) => name.trim() === STREAM_PROTOCOL);
}

function refuse(slug: ProblemSlug, detail: string): Result<never, Problem> {
  return err({ slug, detail });
}
