/**
 * A publisher: what is published, each once and in the order of the calls. Owns what is not acknowledged, what may be
 * sent when, and what each answer means (PROTOCOL.md, 10.7 to 10.11, 10.14). Knows a link, never a socket.
 * Invariant: of what is pending a part from the front is on the wire, and nothing overtakes.
 */
import type { HubFrame } from "../core/hub-frame.ts";
import type { ProblemDetails } from "../core/problem.ts";
import { Endpoint } from "./endpoint.ts";
import { problemError, type HubError } from "./hub-error.ts";
import type { Verdict } from "./link.ts";
import {
  formatFrame,
  measure,
  messagesOf,
  takeMessages,
  type Call,
  type Entry,
} from "./publishing.ts";
import type { UrlParameters } from "./socket-url.ts";
import type { Pending, Publishable, Publisher, PublisherOptions } from "./types.ts";

const HEARTBEAT_SECONDS = 10;
const MAX_PENDING = 1000;
const MAX_PENDING_BYTES = 16_777_216;
/** Where the hub does not say when to come again. */
const PAUSE_SECONDS = 1;

/** A publisher of one topic. */
export class TopicPublisher extends Endpoint implements Publisher {
  readonly #options: PublisherOptions;
  readonly #name: string = crypto.randomUUID().slice(0, 18);
  #count = 0;
  /** Calls for which there is no room. */
  readonly #calls: Call[] = [];
  /** What is not answered, in order. */
  readonly #entries: Entry[] = [];
  #bytes = 0;
  /** How many of them are on the wire. */
  #sent = 0;
  /** How many may be: few after the hub has refused some, more with each ack. */
  #window = MAX_PENDING;
  /** What was acknowledged last. */
  #acknowledged: string | undefined;
  #pause: ReturnType<typeof setTimeout> | undefined;
  #isClosing = false;
  #isFinishing = false;
  #isLoaded = false;
  #isSaving = false;
  #isSaveDue = false;

  /** Throws a TypeError for a URL that cannot be. */
  constructor(url: string | URL, options: PublisherOptions) {
    super(url, options, Math.min(options.heartbeatSeconds ?? HEARTBEAT_SECONDS, HEARTBEAT_SECONDS));
    this.#options = options;
    this.over.addEventListener("abort", () => clearTimeout(this.#pause));
    this.done.catch((error: unknown) => {
      for (const call of [...this.#entries, ...this.#calls]) call.reject(error);
    });
    this.#load().catch((error: unknown) => this.fail(error));
  }

  publish(message: Publishable | readonly Publishable[]): Promise<{ cursor: string }> {
    return this.#call(messagesOf(message), false);
  }

  finish(message: Publishable | readonly Publishable[] = []): Promise<{ cursor: string }> {
    return this.#call(messagesOf(message), true);
  }

  async close(): Promise<void> {
    this.#isClosing = true;
    this.#endIfDone();
    await this.done;
    await this.link.closed();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  // For its link.

  parameters(): UrlParameters {
    return {
      heartbeat: this.#options.heartbeatSeconds ?? HEARTBEAT_SECONDS,
      takeover: this.#options.takeover === true ? 1 : undefined,
    };
  }

  isHeld(): boolean {
    return false;
  }

  accepted(): void {
    this.#sent = 0;
    this.#send();
  }

  receive(frame: HubFrame): void {
    if (frame.type === "ack") this.#acknowledge(frame.id, frame.cursor);
    if (frame.type === "error" && frame.id !== null) this.#refuse(frame.id, frame.problem);
  }

  lost({ code }: HubError): Verdict {
    this.#sent = 0;
    // It went on in vain for too long (14.2).
    if (code === 4429) this.#window = 1;
    return {};
  }

  #call(messages: readonly Publishable[], isFinish: boolean): Promise<{ cursor: string }> {
    return new Promise((resolve, reject) => {
      if (this.state !== "open" || this.#isClosing || this.#isFinishing) {
        throw new TypeError("The publisher is closed, or will be");
      }
      if (!isFinish && messages.length === 0) throw new TypeError("There is nothing to publish");
      this.#isFinishing = isFinish;
      this.#calls.push({ messages, isFinish, resolve, reject });
      this.#fill();
    });
  }

  async #load(): Promise<void> {
    for (const pending of (await this.#options.outbox?.load()) ?? []) {
      // Nobody waits for it any more: what becomes of it is told by an event.
      const reject = (error: unknown) => this.report(error);
      this.#add(pending, { resolve: () => {}, reject }, true);
      if (pending.finish === true) this.#isFinishing = true;
    }
    this.#isLoaded = true;
    this.#fill();
    this.link.start();
  }

  /** Takes calls in as long as there is room. */
  #fill(): void {
    const { maxPending = MAX_PENDING, maxPendingBytes = MAX_PENDING_BYTES } = this.#options;
    const most = Math.min(maxPending, MAX_PENDING);
    while (this.#isLoaded && this.#entries.length < most && this.#bytes < maxPendingBytes) {
      const call = this.#calls.shift();
      if (call === undefined) break;
      try {
        const messages = takeMessages(call.messages);
        const id = `${this.#name}-${this.#count++}`;
        const pending: Pending = { id, messages, ...(call.isFinish && { finish: true }) };
        this.#add(pending, call, this.#options.outbox === undefined);
      } catch (error) {
        // RangeError: no frame holds it. Or it is nothing that can be published.
        if (call.isFinish) this.#isFinishing = false;
        call.reject(error);
      }
    }
    this.#save().catch((error: unknown) => this.fail(error));
    this.#send();
  }

  #add(pending: Pending, call: Pick<Call, "resolve" | "reject">, isSaved: boolean): void {
    const bytes = measure(pending.messages);
    this.#entries.push({ ...call, pending, bytes, isSaved, after: undefined });
    this.#bytes += bytes;
  }

  /** Has the caller's store hold what is pending: one save at a time. */
  async #save(): Promise<void> {
    const { outbox } = this.#options;
    if (outbox === undefined || !this.#isLoaded) return;
    this.#isSaveDue = true;
    if (this.#isSaving) return;
    this.#isSaving = true;
    while (this.#isSaveDue && this.state === "open") {
      this.#isSaveDue = false;
      const entries = [...this.#entries];
      await outbox.save(entries.map(({ pending }) => pending));
      for (const entry of entries) entry.isSaved = true;
      this.#send();
    }
    this.#isSaving = false;
    this.#endIfDone();
  }

  #send(): void {
    if (this.#pause !== undefined) return;
    while (this.#sent < this.#window && this.link.hasRoom) {
      const entry = this.#entries[this.#sent];
      if (entry?.isSaved !== true) return;
      entry.after = this.#entries[this.#sent - 1]?.pending.id ?? this.#acknowledged;
      this.#sent += 1;
      this.link.send(formatFrame(entry.pending, entry.after));
    }
  }

  #acknowledge(id: string, cursor: string): void {
    const entry = this.#remove(id);
    if (entry === undefined) return;
    this.#acknowledged = id;
    this.#window += 1;
    entry.resolve({ cursor });
    this.#fill();
    this.#endIfDone();
  }

  #refuse(id: string, problem: ProblemDetails): void {
    const index = this.#entries.findIndex(({ pending }) => pending.id === id);
    const entry = this.#entries[index];
    if (entry === undefined || index >= this.#sent) return;
    const error = problemError(problem);
    if (error.slug === "out-of-order") {
      // It named what the hub remembers best, or what was refused: then it comes with another.
      if (entry.after === this.#acknowledged) this.#acknowledged = undefined;
      this.#sent = index;
      if (index === 0) this.#send();
      return;
    }
    if (error.status === 429 || (error.status ?? 0) >= 500) {
      this.#sent = index;
      this.#window = 1;
      clearTimeout(this.#pause);
      this.#pause = setTimeout(
        () => {
          this.#pause = undefined;
          this.#send();
        },
        1000 * (error.retryAfter ?? PAUSE_SECONDS),
      );
      return;
    }
    this.#remove(id);
    if (entry.pending.finish === true) this.#isFinishing = false;
    entry.reject(error);
    this.#fill();
    this.#endIfDone();
  }

  #remove(id: string): Entry | undefined {
    const index = this.#entries.findIndex(({ pending }) => pending.id === id);
    if (index < 0) return undefined;
    const [entry] = this.#entries.splice(index, 1);
    this.#bytes -= entry?.bytes ?? 0;
    if (index < this.#sent) this.#sent -= 1;
    return entry;
  }

  #endIfDone(): void {
    const isIdle = this.#entries.length + this.#calls.length === 0 && !this.#isSaving;
    if ((this.#isClosing || this.#isFinishing) && isIdle && this.#isLoaded) this.end();
  }
}
