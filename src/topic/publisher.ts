/**
 * One publisher's socket: who it is, when it was last heard, and how fast it sends.
 */
import type { Protocol } from "../core/stream.ts";
import { writeAttachment, type PublisherAttachment } from "./attachment.ts";
import { MessageRate, type RateVerdict } from "./message-rate.ts";

/** A publisher. */
export class Publisher {
  readonly socket: WebSocket;
  lastMessageMs: number | null = null;
  #attachment: PublisherAttachment;
  #rate: MessageRate;

  constructor(socket: WebSocket, attachment: PublisherAttachment) {
    this.socket = socket;
    this.#attachment = attachment;
    this.#rate = new MessageRate(attachment.rateFullAtMs);
  }

  /** What it carries through hibernation. */
  get attachment(): PublisherAttachment {
    return this.#attachment;
  }

  get protocol(): Protocol {
    return this.#attachment.protocol;
  }

  /** How much of its rate it has used. */
  get rate(): MessageRate {
    return this.#rate;
  }

  /** Goes on with the rate of a publisher that has left. */
  inheritRate(rate: MessageRate, nowMs: number): void {
    rate.handOver();
    this.#rate = rate;
    this.#rememberDebt(nowMs);
  }

  /** Asks for so many messages. */
  spend(count: number, perSecond: number, nowMs: number): RateVerdict {
    const verdict = this.#rate.take(count, perSecond, nowMs);
    if (verdict.type === "within") this.#rememberDebt(nowMs);
    return verdict;
  }

  /** Makes changes part of its socket. */
  remember(
    changes: Partial<
      Pick<PublisherAttachment, "log" | "grant" | "lookedAtMs" | "policyAtMs" | "rateFullAtMs">
    >,
  ): void {
    this.#attachment = { ...this.#attachment, ...changes };
    writeAttachment(this.socket, this.#attachment);
  }

  /** Sleep must not pay what it owes. Rare: only a publish of more than a second's worth makes a debt. */
  #rememberDebt(nowMs: number): void {
    if (this.#rate.isInDebt(nowMs)) this.remember({ rateFullAtMs: this.#rate.fullAtMs });
  }
}
