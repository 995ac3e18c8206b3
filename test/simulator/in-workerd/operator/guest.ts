/** Somebody on a topic: its connection, and by what it is there. */
import type { PublisherConnection } from "../publisher-connection.ts";
import type { SubscriberConnection } from "../subscriber-connection.ts";

/** By what a socket is there. */
export interface Credential {
  readonly topic: number;
  readonly role: "publisher" | "subscriber";
  /** A key's number, a token, or nothing. */
  readonly by: number | "token" | "nobody";
  /** When the key store vouched for it, by its clock. */
  readonly checkedAtMs: number;
  /** When its token ends. */
  readonly endsAtMs: number | null;
  /** The oldest policy that a vacant topic may have judged it by; `Infinity` where the topic was live. */
  readonly vacantPolicy: number;
}

/** A publisher. */
export interface PublishingGuest extends Credential {
  readonly client: PublisherConnection;
}

/** A subscriber. */
export interface SubscribingGuest extends Credential {
  readonly client: SubscriberConnection;
}

/** Either. */
export type Guest = PublishingGuest | SubscribingGuest;
