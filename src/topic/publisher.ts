/** A publisher: a member that sends, how fast, and how much of it was not answered yet. */
import { isTokenGrant, type Grant } from "../core/grant.ts";
import type { PublisherAttachment } from "./attachment.ts";
import { Member } from "./member.ts";
import { MessageRate, type RateVerdict } from "./message-rate.ts";
import { ownerOf, type Owner } from "./owner.ts";

/** One publisher. */
export class Publisher extends Member<PublisherAttachment> {
  /** Whose ids it uses, and whose rate. Whatever renews its grant, it is the same key's or subject's. */
  readonly owner: Owner;
  /** How many of its publishes wait for their answer. */
  unanswered = 0;
  #rate: MessageRate;

  constructor(socket: WebSocket, attachment: PublisherAttachment) {
    super(socket, attachment);
    this.owner = ownerOf(attachment.grant);
    this.#rate = new MessageRate(attachment.rateFullAtMs);
  }

  /** Whether it is here by a token. */
  get isByToken(): boolean {
    return isTokenGrant(this.grant);
  }

  /** Whether who presents a grant may displace it: a key any, a token its own subject's (PROTOCOL.md, 13.13). */
  yieldsTo(newcomer: Grant | null): boolean {
    if (newcomer === null || !isTokenGrant(newcomer)) return true;
    // The subject itself, and not what its ids are known by: that could be made to meet another's.
    return newcomer.subject !== null && this.grant?.subject === newcomer.subject;
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

  /** Sleep must not pay what it owes. Rare: only a publish of more than a second's worth makes a debt. */
  #rememberDebt(nowMs: number): void {
    if (this.#rate.isInDebt(nowMs)) this.remember({ rateFullAtMs: this.#rate.fullAtMs });
  }
}
