/** What delivery needs of the node that it is a part of. */
import type { Close } from "../core/close-code.ts";

/** A topic, as its delivery sees it. */
export interface DeliveryNode {
  /** Bytes that may wait for a subscriber. */
  maxBacklogBytes(): number;
  /** A subscriber must go: the node takes it out of the audience, and closes it. */
  close(socket: WebSocket, close: Close): void;
  /** So many messages that a subscriber was to get cannot be read. */
  onUnreadable(messages: number): void;
  /** Nobody is behind any more. */
  onIdle(): void;
  /** Something is wrong that nobody has foreseen: nothing is delivered any more. */
  onFailure(error: unknown): void;
}
