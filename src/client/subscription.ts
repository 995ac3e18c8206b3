/**
 * A subscriber: the messages of one topic, each once and in order, handed over as fast as somebody takes them. Owns
 * where it goes on after a cut, how long a topic is waited for, and what the hub may send (PROTOCOL.md, 11.3). Knows
 * a link, never a socket. Invariant: all that happens reaches the caller in the order of the hub's frames.
 */
import { formatSubscriberAck } from "../core/client-frame.ts";
import type { HubFrame } from "../core/hub-frame.ts";
import { Endpoint } from "./endpoint.ts";
import { HubError } from "./hub-error.ts";
import { Inbox, messagesOf, type Item, type News } from "./inbox.ts";
import type { Verdict } from "./link.ts";
import { parseStart } from "./place.ts";
import type { UrlParameters } from "./socket-url.ts";
import type { Received, SubscribeOptions, Subscription } from "./types.ts";

const HEARTBEAT_SECONDS = 10;
/** What a URL may ask for (PROTOCOL.md, 3.1). */
const MAX_WAIT_SECONDS = 60;
/** Bytes that are handed over between two acks: half of what the hub sends ahead at least. */
const ACK_BYTES = 262_144;
/** The least, where the hub's bound turns out to be lower: so many are worth an ack (11.4). */
const MIN_ACK_BYTES = 32_768;
/** While more bytes wait for the caller nobody comes back to get more. */
const MAX_WAITING_BYTES = 262_144;

/** A subscriber of one topic. */
export class TopicSubscription extends Endpoint implements Subscription {
  readonly #options: SubscribeOptions;
  readonly #inbox: Inbox = new Inbox();
  /** What the next connection asks for: behind all that was received. */
  #since: string | undefined;
  /** Messages behind that place which the caller has had in another life. */
  #skip: number;
  /** Behind all that was handed over. */
  #cursor: string | null = null;
  #session = 0;
  #ackBytes = ACK_BYTES;
  #takenBytes = 0;
  #isRead = false;
  #wakeReader: () => void = () => {};
  /** How it ends when all is handed over. */
  #outcome: { readonly error: unknown } | "closed" | null = null;
  /** Whether something came since the last end. */
  #hasNews = true;
  #isLive = false;
  #hasEnded = false;
  /** The topic has ended, as it had before: nothing is new. */
  #isIdle = false;
  #askedAtMs = 0;
  #waitsUntilMs: number | null = null;

  /** Throws a TypeError for a URL that cannot be. */
  constructor(url: string | URL, options: SubscribeOptions) {
    super(url, options, HEARTBEAT_SECONDS);
    this.#options = options;
    const { since, skip } = parseStart(options.since);
    this.#since = since;
    this.#skip = skip;
    this.over.addEventListener("abort", () => {
      this.#inbox.clear();
      this.#wakeReader();
    });
    if (options.onMessage !== undefined) void this.#pump();
    this.link.start();
  }

  get cursor(): string | null {
    return this.#cursor;
  }

  close(): void {
    this.end();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }

  [Symbol.asyncIterator](): AsyncIterator<Received> {
    if (this.#isRead) throw new TypeError("The subscription is read already");
    this.#isRead = true;
    return this.#read();
  }

  override addEventListener(...[name, ...rest]: Parameters<EventTarget["addEventListener"]>): void {
    super.addEventListener(name, ...rest);
    if (name === "message" && !this.#isRead) void this.#pump();
  }

  // For its link.

  parameters(): UrlParameters {
    this.#askedAtMs = Date.now();
    const waitMs = (this.#waitsUntilMs ?? this.#askedAtMs + this.#patienceMs) - this.#askedAtMs;
    const wait = Math.floor(waitMs / 1000);
    return {
      since: this.#since,
      gap: this.#options.gap,
      wait: wait < 1 ? undefined : Math.min(wait, MAX_WAIT_SECONDS),
    };
  }

  isHeld(): boolean {
    return this.#inbox.bytes > MAX_WAITING_BYTES;
  }

  accepted(): void {}

  receive(frame: HubFrame, text: string): void {
    if (frame.type === "open") this.#open(frame.cursor);
    if (frame.type === "messages" || frame.type === "gap" || frame.type === "end") {
      this.#take(frame, new TextEncoder().encode(text).length);
    }
  }

  lost(error: HubError): Verdict {
    if (error.slug === "slow-consumer") {
      this.#ackBytes = Math.max(MIN_ACK_BYTES, this.#ackBytes / 2);
    }
    if (!this.#hasEnded && error.code !== 4404) {
      if (this.#isLive) this.#waitsUntilMs = null;
      return {};
    }
    this.#waitsUntilMs ??= this.#askedAtMs + this.#patienceMs;
    const withinMs = this.#waitsUntilMs - Date.now();
    if (withinMs > 0) return { isIdle: this.#isIdle && error.code !== 4404, withinMs };
    const detail = "The topic has ended, and has not started again";
    return { error: this.#hasEnded ? new HubError("topic-not-live", detail, error.code) : error };
  }

  override gone(error: unknown): void {
    this.#outcome = { error };
    this.#settle();
  }

  #open(cursor: string): void {
    this.#session += 1;
    this.#takenBytes = 0;
    this.#isLive = true;
    this.#hasEnded = false;
    this.#cursor ??= this.#skip > 0 ? (this.#options.since ?? cursor) : cursor;
    this.#since = cursor;
    // From the first one on what is sent is bounded.
    this.link.send(formatSubscriberAck(cursor));
  }

  #take(frame: News, bytes: number): void {
    const start = this.#since ?? "";
    let known = 0;
    switch (frame.type) {
      case "messages":
        known = Math.min(this.#skip, frame.messages.length);
        this.#skip -= known;
        this.#since = frame.cursor;
        break;
      case "gap":
        this.#skip = 0;
        this.#since = frame.to;
        break;
      case "end":
        this.#end(frame.reason);
        if (this.#isIdle) return;
    }
    this.#hasNews = frame.type !== "end";
    this.#inbox.push({ frame, start, known, bytes, session: this.#session });
    this.#settle();
  }

  #end(reason: string | null): void {
    this.#hasEnded = true;
    this.#isIdle = !this.#hasNews;
    if (reason === "abandoned" || reason === null) {
      if (!this.#isIdle) this.#waitsUntilMs = Date.now() + this.#patienceMs;
      return;
    }
    this.#isIdle = false;
    this.#outcome = "closed";
    this.link.close();
  }

  /** Tells what stands before the next message, and the end where none does. */
  #settle(): void {
    for (
      let next = this.#inbox.first?.frame;
      next !== undefined && next.type !== "messages";
      next = this.#inbox.first?.frame
    ) {
      this.#inbox.shift();
      const { type, ...detail } = next;
      if (next.type === "gap") this.#cursor = next.to;
      this.tell(type, detail);
    }
    if (this.#inbox.first === undefined && this.#outcome !== null) {
      if (this.#outcome === "closed") this.end();
      else this.fail(this.#outcome.error);
    }
    this.#wakeReader();
  }

  async *#read(): AsyncGenerator<Received, void> {
    try {
      while (this.state === "open") {
        const item = this.#inbox.first;
        if (item !== undefined) {
          yield* this.#handOver(item);
          continue;
        }
        await new Promise<void>((resolve) => {
          this.#wakeReader = resolve;
        });
      }
      await this.done;
    } finally {
      this.close();
    }
  }

  *#handOver(item: Item): Generator<Received> {
    for (const received of messagesOf(item)) {
      this.#cursor = received.cursor;
      this.tell("message", received);
      yield received;
      // Closed meanwhile.
      if (this.#inbox.first !== item) return;
    }
    this.#inbox.shift();
    this.#takenBytes += item.session === this.#session ? item.bytes : 0;
    if (this.#takenBytes >= this.#ackBytes && item.frame.type === "messages") {
      this.#takenBytes = 0;
      this.link.send(formatSubscriberAck(item.frame.cursor));
    }
    if (!this.isHeld()) this.link.resume();
    this.#settle();
  }

  /** Without a loop of the caller's. */
  async #pump(): Promise<void> {
    try {
      for await (const received of this) await this.#call(received);
    } catch {
      // What `done` rejects with.
    }
  }

  async #call(received: Received): Promise<void> {
    try {
      await this.#options.onMessage?.(received);
    } catch (error) {
      // Whatever the caller's function throws.
      this.fail(error);
    }
  }

  get #patienceMs(): number {
    return 1000 * (this.#options.waitSeconds ?? Infinity);
  }
}
