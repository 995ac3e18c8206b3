/**
 * One publisher's socket: who it is, when it was last heard, how fast it sends, and when its key is to be
 * looked at again.
 */
import type { Grant } from "../core/grant.ts";
import type { Protocol } from "../core/stream.ts";
import { writeAttachment, type PublisherAttachment } from "./attachment.ts";
import { MessageRate } from "./message-rate.ts";

/**
 * How long a key may be used without being looked at; with what caches may add, less than the minute in which
 * a key that somebody switched off by hand must be off.
 */
const RECHECK_MS = 30_000;

/** A publisher. */
export class Publisher {
  readonly socket: WebSocket;
  readonly rate: MessageRate = new MessageRate();
  lastMessageMs: number | null = null;
  /** When the first message from then on has its key looked at; `Infinity` where it has none. */
  recheckAtMs: number;
  #attachment: PublisherAttachment;

  constructor(socket: WebSocket, attachment: PublisherAttachment) {
    this.socket = socket;
    this.#attachment = attachment;
    const { grant } = attachment;
    this.recheckAtMs = grant === null ? Infinity : grant.checkedAtMs + RECHECK_MS;
  }

  /** What it carries through hibernation. */
  get attachment(): PublisherAttachment {
    return this.#attachment;
  }

  get protocol(): Protocol {
    return this.#attachment.protocol;
  }

  /** Makes changes part of its socket. */
  remember(changes: Partial<Pick<PublisherAttachment, "log" | "grant">>): void {
    this.#attachment = { ...this.#attachment, ...changes };
    writeAttachment(this.socket, this.#attachment);
  }

  /** Its key is being looked at. */
  putOffRecheck(nowMs: number): void {
    this.recheckAtMs = nowMs + RECHECK_MS;
  }

  /** Its key was vouched for. */
  renew(grant: Grant): void {
    this.remember({ grant });
    this.recheckAtMs = grant.checkedAtMs + RECHECK_MS;
  }
}
