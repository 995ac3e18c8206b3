/**
 * What can happen in a scenario of the operator's, as plain data: so that fast-check can print it and shrink it.
 * Guests are named by their age within their topic (0 is the youngest), topics and keys by their number.
 */
import type { Policy } from "../../../../src/core/policy.ts";

/** Topics of the domain. */
export const TOPICS = 2;
/** Keys of the domain that an operator changes. */
export const KEYS = 3;

/** How what was changed in the key store comes to the hub. */
export type Telling =
  /** The operator's tool tells the domain. */
  | "at once"
  /** The same, but what it has read is on its way until a `deliver`. */
  | "late"
  /** Changed by hand: whoever looks finds out. */
  | "never";

/** What becomes of a key. */
export type KeyEdit =
  | { readonly type: "switch"; readonly isActive: boolean }
  | { readonly type: "end"; readonly inSeconds: number | null };

/** What is asked before a handshake is handed on. */
export interface Asking {
  /** How old what a cache knows is; `null`: the key store is asked. */
  readonly cachedSeconds: number | null;
  /** How much later than the row the clock was read that dates what the cache knows. */
  readonly lagMs: number;
}

/** Somebody comes. */
export type Join = Asking & {
  readonly topic: number;
  /** Whether the domain's answer about its key comes late: an operator acts meanwhile. */
  readonly isSlow: boolean;
} & (
    | { readonly type: "publisher"; readonly key: number; readonly takeover: boolean }
    | {
        readonly type: "subscriber";
        /** A key's number, a token, or nothing. */
        readonly by: number | "token" | "nobody";
        readonly since: "now" | "earliest";
      }
  );

/** Who fails, and how. */
export type Disorder =
  | {
      readonly type: "unreachable";
      /** Who cannot be reached: the domain, or a topic by its number. */
      readonly who: "domain" | number;
      readonly times: number;
      /** Whether only the answer is lost. */
      readonly isDelivered: boolean;
      readonly breaksStub: boolean;
    }
  | {
      readonly type: "write";
      readonly after: number;
      readonly times: number;
      /** Whether the domain dies of it. */
      readonly isFatal: boolean;
    }
  | {
      readonly type: "alarm";
      readonly who: "domain" | number;
      readonly times: number;
      readonly isDone: boolean;
    };

/** Policies of these scenarios: what an operator changes most. */
export type PolicyEdit = Pick<
  Policy,
  | "publishers"
  | "graceSeconds"
  | "historyMessages"
  | "historySeconds"
  | "subscribers"
  | "maxPublishers"
  | "maxSubscribers"
>;

/** One step. */
export type OperatorAction =
  | Join
  | {
      readonly type: "publish";
      readonly topic: number;
      readonly by: number;
      readonly messages: number;
    }
  | {
      readonly type: "leave";
      readonly topic: number;
      readonly role: "publisher" | "subscriber";
      readonly by: number;
    }
  | {
      readonly type: "change-key";
      readonly key: number;
      readonly edit: KeyEdit;
      readonly tell: Telling;
    }
  | { readonly type: "change-policy"; readonly policy: PolicyEdit; readonly tell: Telling }
  /** What was read and not handed on is, the oldest first. */
  | { readonly type: "deliver" }
  /** For good; held by the domain while the key store is down. */
  | { readonly type: "revoke"; readonly key: number }
  | { readonly type: "key-store"; readonly isUp: boolean }
  | { readonly type: "disorder"; readonly disorder: Disorder }
  | {
      readonly type: "evict";
      readonly who: "domain" | number;
      readonly sockets: "hibernate" | "close";
    }
  /** All objects die. */
  | { readonly type: "abort" }
  /** An alarm fires before its time, or twice. */
  | { readonly type: "alarm"; readonly who: "domain" | number }
  | { readonly type: "ticket"; readonly topic: number; readonly isUsed: boolean }
  | { readonly type: "advance"; readonly seconds: number }
  /** A topic is used for a minute: what was changed by hand before is in force then. */
  | { readonly type: "use"; readonly topic: number }
  /** Everybody can be reached again, and what is owed arrives. */
  | { readonly type: "settle" };
