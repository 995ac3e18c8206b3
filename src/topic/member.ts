/**
 * A member: one socket of a topic that counts, and the only owner of what it carries through hibernation: its role, its
 * key or token, and what memory alone would lose. All of that is changed here.
 */
import type { Grant } from "../core/grant.ts";
import type { Protocol } from "../core/stream.ts";
import {
  writeAttachment,
  type PublisherAttachment,
  type SubscriberAttachment,
  type WaitingAttachment,
} from "./attachment.ts";

/** What a member carries, in whichever role. */
type MemberAttachment = PublisherAttachment | SubscriberAttachment | WaitingAttachment;

/** One socket, in whichever role. */
export abstract class Member<A extends MemberAttachment = MemberAttachment> {
  readonly socket: WebSocket;
  readonly protocol: Protocol;
  /** When it last sent anything but a heartbeat, `null` while memory knows of nothing; milliseconds since the epoch. */
  lastMessageMs: number | null = null;
  #attachment: A;

  /** A newcomer carries nothing yet: see `remember`. */
  constructor(socket: WebSocket, attachment: A) {
    this.socket = socket;
    this.protocol = attachment.protocol;
    this.#attachment = attachment;
  }

  /** What it carries. */
  get attachment(): A {
    return this.#attachment;
  }

  /** The key or token that it is here by, `null` where it needed none. */
  get grant(): Grant | null {
    return this.#attachment.grant;
  }

  /** Is here by another grant, or the same with another end. */
  regrant(grant: Grant): void {
    this.#write({ ...this.#attachment, grant });
  }

  /** Carries changes from now on; without any, what a newcomer was given. */
  remember(changes: Partial<A> = {}): void {
    this.#write({ ...this.#attachment, ...changes });
  }

  #write(attachment: A): void {
    this.#attachment = attachment;
    writeAttachment(this.socket, attachment);
  }
}
