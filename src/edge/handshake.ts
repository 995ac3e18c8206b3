/**
 * The checks of a socket request that need neither database nor object, as guard clauses, cheapest
 * first: path, method, Upgrade, version, address, parameters, key.
 */
import { decodeSegment, parseAddress, type Address } from "../core/address.ts";
import {
  checkCredentials,
  checkExplain,
  parsePublisherOptions,
  parseSubscriberOptions,
  type PublisherOptions,
  type SubscriberOptions,
} from "../core/connect-options.ts";
import type { Problem, ProblemSlug } from "../core/problem.ts";
import { err, ok, type Result } from "../core/result.ts";
import { parseOffer, type Subprotocol } from "../core/subprotocol.ts";
import { describeNowhere } from "./describe-nowhere.ts";
import {
  readPublisherCredential,
  readSubscriberCredential,
  type Credential,
} from "./credential.ts";
import { matchSocketRoute } from "./socket-route.ts";

/** A socket request in order. */
export type Handshake = PublisherHandshake | SubscriberHandshake;

/** That of a publisher. */
export interface PublisherHandshake {
  readonly role: "publisher";
  readonly address: Address;
  readonly subprotocol: Subprotocol | null;
  readonly options: PublisherOptions;
  readonly credential: Credential;
}

/** That of a subscriber. */
export interface SubscriberHandshake {
  readonly role: "subscriber";
  readonly address: Address;
  readonly subprotocol: Subprotocol | null;
  readonly options: SubscriberOptions;
  /** `null`: it presents none, and needs none where the domain is open. */
  readonly credential: Credential | null;
}

/** Whether a request can be answered with a 101, whatever it asks for. */
export function isHandshake(request: Request): boolean {
  return request.method === "GET" && asksForUpgrade(request) && hasVersion(request);
}

/** Checks a request to `/ws/pub/…` or `/ws/sub/…`. */
export function checkHandshake(request: Request): Result<Handshake, Problem> {
  const url = new URL(request.url);
  const route = matchSocketRoute(url.pathname);
  if (route === null) return refuse("not-found", describeNowhere(url.pathname));
  if (request.method !== "GET") {
    return refuse("method-not-allowed", "Open a WebSocket with a GET request");
  }
  if (!asksForUpgrade(request)) {
    return refuse(
      "upgrade-required",
      'Send "Upgrade: websocket" and no other protocol, as every WebSocket client does',
    );
  }
  if (!hasVersion(request)) {
    return refuse("unsupported-websocket-version", 'Send "Sec-WebSocket-Version: 13"');
  }
  const pathKey = route.rawKey === null ? null : decodeSegment(route.rawKey);
  if (route.rawKey !== null && pathKey === null) {
    return refuse("invalid-address", "The API key is not valid percent-encoded UTF-8");
  }
  const parsed = parseAddress(route.rawDomain, route.rawTopic);
  if (!parsed.ok) return refuse("invalid-address", parsed.error);
  const { agreed: subprotocol, credentials } = parseOffer(
    request.headers.get("Sec-WebSocket-Protocol"),
  );
  const target = { address: parsed.value, subprotocol };
  const places = { authorization: request.headers.get("Authorization"), encoded: credentials };

  const ticket = url.searchParams.get("ticket");

  const explain = checkExplain(url.searchParams);
  if (!explain.ok) return refuse("invalid-parameter", explain.error);
  const credentialsInQuery = checkCredentials(url.searchParams);
  if (!credentialsInQuery.ok) return refuse("invalid-parameter", credentialsInQuery.error);

  switch (route.role) {
    case "subscriber": {
      const options = parseSubscriberOptions(url.searchParams);
      if (!options.ok) return refuse("invalid-parameter", options.error);
      const credential = readSubscriberCredential(places, ticket);
      if (!credential.ok) return credential;
      return ok({
        role: "subscriber",
        ...target,
        options: options.value,
        credential: credential.value,
      });
    }
    case "publisher": {
      const options = parsePublisherOptions(url.searchParams);
      if (!options.ok) return refuse("invalid-parameter", options.error);
      const credential = readPublisherCredential(places, pathKey, ticket);
      if (!credential.ok) return credential;
      return ok({
        role: "publisher",
        ...target,
        options: options.value,
        credential: credential.value,
      });
    }
  }
}

/**
 * The value is compared without regard to case (RFC 6455, section 4.2.1). A list, which the RFC allows, is not
 * taken: the runtime answers it with no 101, and fails on a Worker that does.
 */
function asksForUpgrade({ headers }: Request): boolean {
  return headers.get("Upgrade")?.trim().toLowerCase() === "websocket";
}

function hasVersion({ headers }: Request): boolean {
  return headers.get("Sec-WebSocket-Version") === "13";
}

function refuse(slug: ProblemSlug, detail: string): Result<never, Problem> {
  return err({ slug, detail });
}
