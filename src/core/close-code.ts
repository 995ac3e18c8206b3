/**
 * The second error plane: the close codes of an open socket (RFC 6455, section 7.4). 4000-4499 mean
 * reconnect with backoff, 4500-4999 do not; PROTOCOL.md, section 8, lists them.
 */

/** A Close frame's status code and reason; the reason is a slug, at most 123 bytes. */
export interface Close {
  readonly code: number;
  readonly reason: string;
}

/** The topic's grace period passed without a takeover; the original's code. */
export const TOPIC_ENDED: Close = { code: 1000, reason: "topic-ended" };
/** A message is larger than the policy allows. */
export const MESSAGE_TOO_LARGE: Close = { code: 1009, reason: "message-too-large" };
/** The socket was accepted by a version of the hub that this one cannot follow: reconnect. */
export const SERVICE_RESTART: Close = { code: 1012, reason: "service-restart" };
/** The token of a subscriber has expired: renew it and come back. */
export const TOKEN_EXPIRED: Close = { code: 4401, reason: "token-expired" };
/** A subscriber does not read: reconnect with the last cursor. */
export const SLOW_CONSUMER: Close = { code: 4408, reason: "slow-consumer" };
/** A publisher sends more than its domain allows, and went on when it was told. */
export const TOO_MANY_REQUESTS: Close = { code: 4429, reason: "too-many-requests" };
/** A stream socket sent something that is not of the stream. */
export const INVALID_FRAME: Close = { code: 4500, reason: "invalid-frame" };
/** The key that opened the socket was revoked, has expired or was switched off. */
export const KEY_REJECTED: Close = { code: 4501, reason: "key-rejected" };
/** The domain has become private, and the subscriber presented nothing. */
export const TOKEN_REQUIRED: Close = { code: 4501, reason: "token-required" };
/** Another publisher of the domain took the topic over. */
export const PUBLISHER_DISPLACED: Close = { code: 4509, reason: "publisher-displaced" };
/** What a subscriber asked for with `?since=` is gone, and it asked for `?gap=close`. */
export const HISTORY_GAP: Close = { code: 4510, reason: "history-gap" };

/**
 * The code that answers a peer's close, or `null` for a Close frame without a code. 1005, 1006 and
 * 1015 are reports, not codes (RFC 6455, section 7.4.1): `close()` throws on them.
 */
export function answerTo(code: number): number | null {
  if (code === 1005) return null;
  return code === 1006 || code === 1015 ? 1000 : code;
}
