/**
 * One publisher's socket: who it is, when it was last heard, and how fast it sends.
 */
import type { Protocol } from "../core/stream.ts";
import { writeAttachment, type PublisherAttachment } from "./attachment.ts";
import { MessageRate } from "./message-rate.ts";

/** A publisher. */
export class Publisher {
  readonly socket: WebSocket;
  readonly rate: MessageRate = new MessageRate();
  lastMessageMs: number | null = null;
  #attachment: PublisherAttachment;

  constructor(socket: WebSocket, attachment: PublisherAttachment) {
    this.socket = socket;
    this.#attachment = attachment;
  }

  /** What it carries through hibernation. */
  get attachment(): PublisherAttachment {
    return this.#attachment;
  }

  get protocol(): Protocol {
    return this.#attachment.protocol;
  }

  /** Makes changes part of its socket. */
  remember(
    changes: Partial<Pick<PublisherAttachment, "log" | "grant" | "lookedAtMs" | "policyAtMs">>,
  ): void {
    this.#attachment = { ...this.#attachment, ...changes };
    writeAttachment(this.socket, this.#attachment);
  }
}
