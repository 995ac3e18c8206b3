/** A socket that waits for a topic to start: a member that is given nothing yet. Where it is to begin goes with it. */
import type { SubscriberSocket } from "../delivery/subscriber.ts";
import type { WaitingAttachment } from "./attachment.ts";
import { Member } from "./member.ts";

/** One that waits. */
export class WaitingMember extends Member<WaitingAttachment> implements SubscriberSocket {
  get closesOnGap(): boolean {
    return this.attachment.gap === "close";
  }

  /** It has no place yet. */
  rememberPlace(): void {}
}
