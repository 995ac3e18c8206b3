/**
 * The second error plane: the close codes of an open socket (RFC 6455, section 7.4). 4000-4499 mean
 * reconnect with backoff, 4500-4999 do not; PROTOCOL.md, section 8, lists them.
 */
import type { EndReason } from "./end-reason.ts";

/** A Close frame's status code and reason; the reason is a slug, at most 123 bytes. */
export interface Close {
  readonly code: number;
  readonly reason: string;
}

/** The topic's grace period passed without a takeover; the original's code. */
export const TOPIC_ENDED: Close = { code: 1000, reason: "topic-ended" };
/** Its publisher has finished it. */
export const TOPIC_FINISHED: Close = { code: 1000, reason: "topic-finished" };
/** It was deleted: publishers are told so by a code of their own. */
export const TOPIC_DELETED: Close = { code: 1000, reason: "topic-deleted" };
/** A message is larger than the policy allows. */
export const MESSAGE_TOO_LARGE: Close = { code: 1009, reason: "message-too-large" };
/** The socket was accepted by a version of the hub that this one cannot follow: reconnect. */
export const SERVICE_RESTART: Close = { code: 1012, reason: "service-restart" };
/** The token that opened the socket has expired: renew it and come back. */
export const TOKEN_EXPIRED: Close = { code: 4401, reason: "token-expired" };
/** Nobody has started the topic for as long as a subscriber waited for it: reconnect. */
export const TOPIC_NOT_LIVE: Close = { code: 4404, reason: "topic-not-live" };
/** A subscriber does not read: reconnect with the last cursor. */
export const SLOW_CONSUMER: Close = { code: 4408, reason: "slow-consumer" };
/** A publisher sends more than its domain allows, and went on when it was told; or a subscriber sends too much. */
export const TOO_MANY_REQUESTS: Close = { code: 4429, reason: "too-many-requests" };
/** A stream socket sent something that is not of the stream. */
export const INVALID_FRAME: Close = { code: 4500, reason: "invalid-frame" };
/** The key that opened the socket was revoked, has expired or was switched off. */
export const KEY_REJECTED: Close = { code: 4501, reason: "key-rejected" };
/** The domain has become private, and the subscriber presented nothing. */
export const TOKEN_REQUIRED: Close = { code: 4501, reason: "token-required" };
/** The domain takes no tokens of publishers any more. */
export const TOKEN_PUBLISHERS_OFF: Close = { code: 4503, reason: "token-publishers-off" };
/** The topic was deleted, which its publishers are not to undo by coming back at once. */
export const PUBLISHER_DELETED: Close = { code: 4504, reason: "topic-deleted" };
/** Another publisher of the domain took the topic over. */
export const PUBLISHER_DISPLACED: Close = { code: 4509, reason: "publisher-displaced" };
/** What a subscriber asked for with `?since=` is gone, and it asked for `?gap=close`. */
export const HISTORY_GAP: Close = { code: 4510, reason: "history-gap" };
/** The domain has as many topics as it allows, and was out of reach when this one was let in. */
export const TOO_MANY_TOPICS: Close = { code: 4453, reason: "too-many-topics" };
/** The topic that a subscriber waited for has started, and has as many as its domain allows. */
export const TOO_MANY_SUBSCRIBERS: Close = { code: 4453, reason: "too-many-subscribers" };
/** A subscriber has sent heartbeats, is silent, and its place is needed (PROTOCOL.md, 7.7): reconnect. */
export const HEARTBEATS_MISSED: Close = { code: 4408, reason: "heartbeats-missed" };

/** What a Close frame of the peer can hold and `close()` refuses to send (RFC 6455, section 7.4.1). */
const UNSENDABLE_CODES: readonly number[] = [1004, 1006, 1015];
const LEAST_CODE = 1000;
const MOST_CODE = 4999;
/** A Close frame's payload has 125 bytes at most, two of which are the code. */
const MAX_REASON_BYTES = 123;
/** What the runtime puts in the place of bytes that are not UTF-8. */
const REPLACEMENT = "\uFFFD";

const INVALID_CODE: Close = { code: 1002, reason: "" };
const INVALID_REASON: Close = { code: 1007, reason: "" };

/** How subscribers are told of an end; those of a stream have had an `end` frame. */
export function closeAtEnd(reason: EndReason): Close {
  switch (reason) {
    case "finished":
      return TOPIC_FINISHED;
    case "abandoned":
      return TOPIC_ENDED;
    case "deleted":
      return TOPIC_DELETED;
  }
}

/**
 * The answer to a peer's Close frame: its own code and reason, or what is wrong with them; `null` for one
 * without a code, which the runtime reports as 1005.
 */
export function answerTo(code: number, reason: string): Close | null {
  if (code === 1005) return null;
  const isSendable = code >= LEAST_CODE && code <= MOST_CODE && !UNSENDABLE_CODES.includes(code);
  if (!isSendable) return INVALID_CODE;
  return isEchoable(reason) ? { code, reason } : INVALID_REASON;
}

function isEchoable(reason: string): boolean {
  if (reason.includes(REPLACEMENT) || !reason.isWellFormed()) return false;
  return new TextEncoder().encode(reason).length <= MAX_REASON_BYTES;
}
