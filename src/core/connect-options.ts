/**
 * The query parameters of a socket URL (PROTOCOL.md, section 3). Unknown ones are ignored, so that a
 * newer client can talk to an older hub; a known one with a wrong value is refused, never guessed at, and so
 * is a secret that does not belong there.
 */
import { MAX_HEARTBEAT_SECONDS } from "./heartbeat.ts";
import { err, ok, type Result } from "./result.ts";
import { parseSince } from "./since.ts";

/** What a publisher asks for when it connects. */
export interface PublisherOptions {
  /** Displace the incumbent of an exclusive topic. */
  readonly takeover: boolean;
  /** The interval of the heartbeats it promises, `null` if it promises none. */
  readonly heartbeatSeconds: number | null;
}

/** Seconds that somebody may have the hub wait: beyond it proxies on the way would give up. */
export const MAX_WAIT_SECONDS = 60;

/** What a subscriber asks for when it connects. */
export interface SubscriberOptions {
  /** Where in the past it begins, as text that `parseSince` accepts; `null`: in the present. */
  readonly since: string | null;
  /** Whether it is told of a gap or closed by it. */
  readonly gap: "skip" | "close";
  /** How long it waits for its topic to start, `null`: not at all. */
  readonly waitSeconds: number | null;
}

/** Reads `?takeover=` and `?heartbeat=`; the error is a sentence that says what would be right. */
export function parsePublisherOptions(query: URLSearchParams): Result<PublisherOptions> {
  const takeover = query.get("takeover") ?? "0";
  if (takeover !== "0" && takeover !== "1") return err('"takeover" must be 0 or 1');
  if (query.has("wait")) return err('"wait" is for subscribers: a publisher starts the topic');

  const heartbeat = query.get("heartbeat");
  if (heartbeat === null) return ok({ takeover: takeover === "1", heartbeatSeconds: null });
  const heartbeatSeconds = /^[1-9]\d{0,2}$/.test(heartbeat) ? Number(heartbeat) : NaN;
  if (!(heartbeatSeconds <= MAX_HEARTBEAT_SECONDS)) {
    return err(`"heartbeat" must be a whole number of seconds from 1 to ${MAX_HEARTBEAT_SECONDS}`);
  }
  return ok({ takeover: takeover === "1", heartbeatSeconds });
}

/** Checks `?explain=`, which any socket's URL may carry; the error says what would be right. */
export function checkExplain(query: URLSearchParams): Result<null> {
  return /^[01]$/.test(query.get("explain") ?? "0") ? ok(null) : err('"explain" must be 0 or 1');
}

/** What people call a credential in a query. */
const CREDENTIAL_NAMES: readonly string[] = [
  "token",
  "access_token",
  "jwt",
  "apikey",
  "api_key",
  "authorization",
];

/** Refuses tokens and keys in the query, where logs would see them; the error says where they belong. */
export function checkCredentials(query: URLSearchParams): Result<null> {
  const name = query.size === 0 ? undefined : CREDENTIAL_NAMES.find((known) => query.has(known));
  return name === undefined
    ? ok(null)
    : err(
        `"${name}" is not taken from the URL, which logs would keep: send "Authorization: Bearer" or a ` +
          'subprotocol (PROTOCOL.md, 12.1), or exchange it for a ticket and send "ticket" (13.5)',
      );
}

/** Reads `?since=`, `?gap=` and `?wait=`; the error is a sentence that says what would be right. */
export function parseSubscriberOptions(query: URLSearchParams): Result<SubscriberOptions> {
  const since = query.get("since");
  const parsed = since === null ? null : parseSince(since);
  if (parsed?.ok === false) return parsed;
  const gap = query.get("gap") ?? "skip";
  if (gap !== "skip" && gap !== "close") return err('"gap" must be "skip" or "close"');
  const wait = query.get("wait");
  if (wait === null) return ok({ since, gap, waitSeconds: null });
  const waitSeconds = /^[1-9]\d?$/.test(wait) ? Number(wait) : NaN;
  if (!(waitSeconds <= MAX_WAIT_SECONDS)) {
    return err(`"wait" must be a whole number of seconds from 1 to ${MAX_WAIT_SECONDS}`);
  }
  return ok({ since, gap, waitSeconds });
}
