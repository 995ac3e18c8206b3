/**
 * What a client wants of the hub's frames (PROTOCOL.md, 10.3 to 10.8), and no more, since a page loads each word of it:
 * the hub writes strictly, so what would do no harm is not looked at. Each function throws where a frame cannot be
 * read, and is called before anything is changed, so that a frame is taken whole or not at all.
 */
import { HubError } from "./hub-error.ts";
import type { Received } from "./types.ts";

/** More than a day. A timer that is to wait for more than 24 days fires at once. */
const MAX_RETRY_AFTER_SECONDS = 100_000;

/** A frame, as it is hoped to be: each type has some of these. What must be a text is trimmed: nothing else can be. */
export interface Frame {
  readonly type: string;
  readonly id: string | null;
  readonly cursor: string;
  readonly from: string;
  readonly to: string;
  readonly reason?: string;
  readonly at?: string | readonly (readonly [count: number, time: string])[];
  readonly messages: readonly (string | { readonly base64: string })[];
  readonly problem: {
    readonly type: string;
    readonly detail: string;
    readonly status: number;
    readonly retryAfter: number;
  };
}

/** The messages of a frame, with their times: `at` is one, or a list of `[count, time]`, or not there (10.4). */
export function messagesOf({ messages, at }: Frame): Omit<Received, "cursor">[] {
  const spans = Array.isArray(at) ? at : [[Infinity, at]];
  let next = 0;
  let left = 0;
  let time: Date | null = null;
  return messages.map((message) => {
    if (left < 1) {
      const [count, text] = spans[next++];
      left = count;
      time = text ? new Date(text) : null;
    }
    left -= 1;
    return { data: typeof message === "string" ? message : bytesOf(message.base64), at: time };
  });
}

/** The problem of a frame. Less than a second, or what is no number, counts as not said: it would be a tight loop. */
export function problemOf({ problem: { type, detail, status, retryAfter } }: Frame): HubError {
  return new HubError(type.replace(/.*:/, ""), detail, {
    status,
    retryAfter: retryAfter >= 1 ? Math.min(retryAfter, MAX_RETRY_AFTER_SECONDS) : undefined,
  });
}

/** A loop: `fromBase64` is not everywhere, and `Uint8Array.from` is slow. */
function bytesOf(base64: string): Uint8Array {
  const binary = atob(base64);
  const bytes = new Uint8Array(binary.length);
  for (let at = 0; at < binary.length; at++) bytes[at] = binary.charCodeAt(at);
  return bytes;
}
