/** The library's entry: what a program imports, and no more. Each half can be bundled without the other. */
import { makePublisher } from "./publisher.ts";
import { makeSubscription } from "./subscription.ts";
import type { Publisher, PublisherOptions, SubscribeOptions, Subscription } from "./types.ts";

export { HubError } from "./hub-error.ts";
export type * from "./types.ts";

/**
 * Subscribes to a topic: `wss://HOST/ws/sub/DOMAIN/TOPIC`. It connects, and comes back whenever it is cut off, until it
 * is closed. Throws a TypeError for a URL that cannot be, or that holds a credential.
 */
export function subscribe(url: string | URL, options: SubscribeOptions = {}): Subscription {
  return makeSubscription(url, options);
}

/**
 * Opens a publisher of a topic: `wss://HOST/ws/pub/DOMAIN/TOPIC`. It connects, and comes back whenever it is cut off,
 * until it is closed. Throws a TypeError for a URL that cannot be, or that holds a credential.
 */
export function openPublisher(url: string | URL, options: PublisherOptions = {}): Publisher {
  return makePublisher(url, options);
}
