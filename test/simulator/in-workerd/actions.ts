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
  /** Whether a stream subscriber acknowledges: not, everything, or its first messages only. */
  readonly acks: "none" | "all" | "first";
  /** How many of them come at once. */
  readonly count: number;
}

/** The messages of one frame; on a raw socket each is a frame of its own. */
export interface Batch {
  readonly messages: number;
  readonly kind: BodyKind;
}

export type Action =
  | { readonly type: "connect"; readonly protocol: Protocol; readonly takeover: boolean }
  | { readonly type: "publish"; readonly by: number; readonly batches: readonly Batch[] }
  | { readonly type: "resend"; readonly by: number; readonly ago: number; readonly times: number }
  | { readonly type: "oversize"; readonly by: number }
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
  | { readonly type: "advance"; readonly by: "past-grace" | "hours" | "days" }
  /** The loop turns: what is under way gets somewhere. */
  | { readonly type: "wait"; readonly ms: number }
  /** Everything under way arrives, and what must hold then is checked. */
  | { readonly type: "settle"; readonly protocol: Protocol };

/** How far an `advance` puts the clock forward. */
export const ADVANCE_SECONDS: Readonly<Record<"past-grace" | "hours" | "days", number>> = {
  "past-grace": 11,
  hours: 3 * 3600,
  days: 3 * 86_400,
};
