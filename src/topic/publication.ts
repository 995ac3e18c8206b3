/** What a publisher hands over at once, and who waits to hear that it is in the log. */
import type { Cursor } from "../core/cursor.ts";
import type { Message } from "../core/message.ts";

/** Messages that stay together: one raw frame, or one `publish` of the stream. */
export interface Publication {
  /** Empty where a publish was repeated: then there is only a receipt to give. */
  readonly messages: readonly Message[];
  /** `null` for a raw frame, of which nobody is told. */
  readonly receipt: Receipt | null;
}

/** The promise of an `ack`. */
export interface Receipt {
  readonly id: string;
  /** Who asked. */
  readonly socket: WebSocket;
  /** Shared with those who repeated it while it was under way. */
  readonly outcome: Outcome;
}

/** What became of a publish. */
export interface Outcome {
  /** Where it is in the log, `null` while it is not. */
  cursor: Cursor | null;
}
