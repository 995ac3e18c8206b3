/** A message that a topic's log has durably, and when it got it. */
import type { Place } from "../place.ts";
import type { Stored } from "./topic-site.ts";

/** A message. */
export interface OwedMessage {
  readonly key: string;
  readonly place: Place;
  /** When it was there, by the key store's clock and by the hub's. */
  readonly sinceMs: number;
  readonly publishedAtMs: number;
  /** What the topic stored before it came, and afterwards. */
  readonly stored: readonly Stored[];
  readonly desertions: number;
}
