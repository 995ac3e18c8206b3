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
  /** All that was published before it is in the log, and itself, up to a cursor. */
  ack(cursor: Cursor): void;
}
