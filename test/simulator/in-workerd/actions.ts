/**
 * What can happen in a scenario, as plain data: so that fast-check can print it and shrink it. Actors
 * are named by their age (0 is the youngest of their role), which means the same in every replay.
 */
import type { BodyKind } from "./body.ts";

export type Protocol = "raw" | "stream";

/** Where a subscriber begins; cursors are named by how long ago they were seen. */
export type Since =
  | { readonly kind: "now" }
  | { readonly kind: "own-cursor"; readonly of: number }
  | { readonly kind: "any-cursor"; readonly ago: number }
  | { readonly kind: "earliest" }
  | { readonly kind: "last"; readonly count: number }
  | { readonly kind: "duration"; readonly text: "30s" | "5m" | "2h" | "30d" };

/** What a subscriber wants and how it behaves. */
export interface Subscribe {
  readonly type: "subscribe";
  readonly protocol: Protocol;
  readonly since: Since;
  readonly gap: "skip" | "close";
  /** `late` lets what arrives wait until a `read` or the next `settle`. */
  readonly reads: "at once" | "late";
  /** Whether a stream subscriber acknowledges: not, everything, everything but slowly, or its first messages only. */
  readonly acks: "none" | "all" | "slowly" | "first";
  /** How many of them come at once. */
  readonly count: number;
}

/** One that can tell places, and gets all that there is. */
export const READS_ALL: Subscribe = {
  type: "subscribe",
  protocol: "stream",
  since: { kind: "earliest" },
  gap: "skip",
  reads: "at once",
  acks: "none",
  count: 1,
};

/** The messages of one frame; on a raw socket each is a frame of its own. */
export interface Batch {
  readonly messages: number;
  readonly kind: BodyKind;
}

export type Action =
  | {
      readonly type: "connect";
      readonly protocol: Protocol;
      readonly takeover: boolean;
      /** By whose token; those of one owner share their ids. */
      readonly owner: number;
    }
  | {
      readonly type: "publish";
      readonly by: number;
      readonly batches: readonly Batch[];
      /** Whether each is to be refused where the one before it was. */
      readonly isChained: boolean;
    }
  | { readonly type: "resend"; readonly by: number; readonly ago: number; readonly times: number }
  /** Other messages under an id that was used. */
  | { readonly type: "reuse"; readonly by: number; readonly ago: number; readonly batch: Batch }
  /** Many at once, of which none is waited for; cut off meanwhile, the publisher comes back and sends them again. */
  | {
      readonly type: "flood";
      readonly by: number;
      readonly count: number;
      readonly cutAfterMs: number | null;
      readonly isFollowed: IsFollowed;
    }
  | { readonly type: "oversize"; readonly by: number; readonly isFollowed: IsFollowed }
  | { readonly type: "leave"; readonly by: number }
  | Subscribe
  | { readonly type: "unsubscribe"; readonly by: number }
  | { readonly type: "read"; readonly by: number }
  /** The object leaves memory; its sockets hibernate. */
  | { readonly type: "evict" }
  /** The same, but its sockets are lost. */
  | { readonly type: "restart" }
  /** The object dies in the middle of what it does, after a while or at once. */
  | { readonly type: "abort"; readonly afterMs: number }
  | { readonly type: "alarm"; readonly times: number }
  | End
  | Finish
  | Delete
  | Post
  | Repost
  | ReadPages
  | StorageFailure
  | { readonly type: "advance"; readonly by: "past-grace" | "hours" | "days" }
  | Jump
  /** The loop turns: what is under way gets somewhere. */
  | { readonly type: "wait"; readonly ms: number }
  /** Everything under way arrives, and what must hold then is checked. */
  | { readonly type: "settle"; readonly protocol: Protocol };

/** Whether another one follows at once that is to be refused where the one before it was. */
type IsFollowed = boolean;

/** An exclusive topic ends while a crowd is given what is in the log. */
export interface End {
  readonly type: "end";
  readonly protocol: Protocol;
  readonly acks: Subscribe["acks"];
  readonly count: number;
  /** How many large batches are published before. */
  readonly batches: number;
  /** Whether the runtime has given up on the alarm. */
  readonly isAlarmLost: boolean;
}

/** An exclusive topic is finished while a crowd is given what is in the log; elsewhere somebody tries. */
export interface Finish extends Pick<End, "protocol" | "acks" | "count" | "batches"> {
  readonly type: "finish";
  readonly by: "frame" | "post";
  /** How many messages it has itself. */
  readonly messages: number;
  /** How often it is said again, and what becomes of the object before. */
  readonly repeats: number;
  readonly between: "nothing" | "evict" | "restart";
}

/** Somebody deletes the topic: when it is quiet, and a crowd is given what is in the log, or in the middle of anything. */
export interface Delete extends Pick<End, "protocol" | "acks" | "count" | "batches"> {
  readonly type: "delete";
  readonly isQuiet: boolean;
}

/** How a body says its messages, where it can. */
export type Form = "plain" | "lines" | "frame";

/** Publishes by HTTP, at once. */
export interface Post {
  readonly type: "post";
  readonly owner: number;
  readonly batches: readonly Batch[];
  /** How often each is posted at the same time. */
  readonly copies: number;
  readonly form: Form;
}

/** Posts again what somebody published, or other messages under its id. */
export interface Repost {
  readonly type: "repost";
  readonly ago: number;
  readonly rival: Batch | null;
  readonly form: Form;
}

/** Reads pages up to the log's end, and may then wait for more: for so long as nothing comes, or until it gives up. */
export interface ReadPages {
  readonly type: "read-pages";
  readonly since: Since;
  readonly limit: number;
  readonly wait: "no" | "shortly" | "for more";
}

/** A clock is set right. */
export interface Jump {
  readonly type: "jump";
  readonly by: keyof typeof JUMP_SECONDS;
  /** Who looks at it from the outside when all is quiet, before and after; `null`: nobody. */
  readonly seenBy: Protocol | null;
}

/** Storage fails until the next `settle`, or so many times. */
export interface StorageFailure {
  readonly type: "fail-storage";
  readonly kind: "write" | "read";
  /** How many writes or reads go well before. */
  readonly after: number;
  readonly times: number;
  /** Whether the object dies of it, instead of being told. */
  readonly isFatal: boolean;
  /** Whether something is published at once. */
  readonly isPublishedTo: boolean;
}

/** How far a `jump` sets the clock. */
export const JUMP_SECONDS = { "day-ahead": 86_400, "hour-back": -3600 } as const;

/** How far an `advance` puts the clock forward. */
export const ADVANCE_SECONDS: Readonly<Record<"past-grace" | "hours" | "days", number>> = {
  "past-grace": 11,
  hours: 3 * 3600,
  days: 3 * 86_400,
};
