/** A subscriber: a member that only receives, as its topic keeps it; how it is served is delivery's. */
import { formatCursor, parseCursor, type Cursor } from "../core/cursor.ts";
import type { SubscriberSocket } from "../delivery/subscriber.ts";
import type { SubscriberAttachment } from "./attachment.ts";
import { Member } from "./member.ts";

/** One subscriber. */
export class SubscriberMember extends Member<SubscriberAttachment> implements SubscriberSocket {
  get closesOnGap(): boolean {
    return this.attachment.gap === "close";
  }

  /** Whether it came to read what is kept of a life that was over. */
  get readsPast(): boolean {
    return this.attachment.readsPast === true;
  }

  /** Up to where it was given everything, `null` where it is not behind. */
  get behind(): Cursor | null {
    const { behind } = this.attachment;
    return behind === null ? null : parseCursor(behind);
  }

  rememberPlace(behind: Cursor | null): void {
    this.remember({ behind: behind === null ? null : formatCursor(behind) });
  }
}
