/**
 * A simulated subscriber: reads at once or late, acknowledges or not, or slowly, and hands what arrives to its
 * reader.
 */
import { byteLengthOf } from "../../../src/core/byte-size.ts";
import { formatSubscriberAck } from "../../../src/core/client-frame.ts";
import { waitReally } from "../../support-in-workerd/real-time.ts";
import type { Subscribe } from "./actions.ts";
import type { Ledger } from "./ledger.ts";
import type { Observer } from "./observer.ts";
import type { Publications } from "./publication.ts";
import type { MayBeClosed } from "./publisher-connection.ts";
import { RawReader } from "./raw-reader.ts";
import type { MayBeSlow } from "./slowness.ts";
import { StreamReader, type Asked } from "./stream-reader.ts";
import { Violation } from "./violation.ts";

/** The close codes that a subscriber may see: the topic ended, lost, too slow, a gap. */
const CLOSE_CODES: readonly number[] = [1000, 1006, 4408, 4510];

/** The head of a frame (RFC 6455, section 5.2), at most. */
const MOST_HEAD_BYTES = 10;
/** What the hub sends of the past beyond the last ack, at least. */
const REPLAY_CREDIT_BYTES = 512 * 1024;
/** How long one that is slow has each frame before it acknowledges it. */
const SLOW_MS = 3;

/** What a subscriber's connection is made of. */
export interface SubscriberOptions {
  readonly number: number;
  readonly subscribe: Subscribe;
  readonly asked: Asked;
  /** How many publications there were when its handshake was answered. */
  readonly publishedBefore: number;
  /** Whether it may have been too slow. */
  readonly mayBeSlow?: MayBeSlow;
  /** Whether it may be closed like this, too; throws a violation where it must not. */
  readonly mayBeClosed?: MayBeClosed;
}

/** What all connections share. */
export interface Surroundings {
  readonly ledger: Ledger;
  readonly publications: Publications;
  readonly observer: Observer;
}

/** The client's end of a subscriber's socket. */
export class SubscriberConnection {
  readonly options: SubscriberOptions;
  readonly reader: StreamReader | RawReader;
  /** Resolves when the socket is closed, by whomever. */
  readonly gone: Promise<void>;
  isOpen = true;
  isReading = false;
  /** With which code the hub closed it. */
  closeCode: number | null = null;
  /** Bytes of the frames that it has not acknowledged, the last frame aside; `null` before they count. */
  unacknowledged: number | null = null;
  readonly #socket: WebSocket;
  readonly #observer: Observer;
  readonly #waiting: Map<string, (() => void)[]> = new Map();
  #lastFrame = 0;
  #hasAcknowledged = false;
  /** Bytes of all that came. */
  #bytes = 0;
  /** Bytes of all that came since it stopped to acknowledge. */
  #bytesSince = 0;
  #lastAck: Promise<void> = Promise.resolve();
  #hasLeft = false;

  constructor(options: SubscriberOptions, socket: WebSocket, surroundings: Surroundings) {
    this.options = options;
    this.#socket = socket;
    const { ledger, publications, observer } = surroundings;
    this.#observer = observer;
    const { asked, subscribe } = options;
    this.reader =
      subscribe.protocol === "stream"
        ? new StreamReader(asked, ledger)
        : new RawReader(asked, publications);
    socket.binaryType = "arraybuffer";
    socket.addEventListener("message", ({ data }) => {
      observer.watch(this.name, () => this.#take(data));
    });
    this.gone = new Promise((resolve) => {
      socket.addEventListener("close", ({ code, reason }) => {
        observer.watch(this.name, () => this.#closed(code, reason));
        resolve();
      });
    });
    if (subscribe.reads === "at once") this.read();
  }

  get name(): string {
    const { number, subscribe } = this.options;
    return `subscriber ${number} (${subscribe.protocol})`;
  }

  /** Begins to read, if it does not yet. */
  read(): void {
    if (this.isReading) return;
    this.isReading = true;
    this.#socket.accept();
  }

  /** Resolves once it has seen a message, or need not. */
  reached(key: string): Promise<void> {
    if (!this.isOpen || this.reader.seen.has(key) || this.#isHeldBack) return Promise.resolve();
    return new Promise((resolve) => {
      this.#waiting.set(key, [...(this.#waiting.get(key) ?? []), resolve]);
    });
  }

  /** The hub knows by now that it acknowledges: what comes from here on counts, if it does no more. */
  countBacklog(): void {
    if (this.options.subscribe.acks !== "first" || !this.#hasAcknowledged) return;
    if (this.unacknowledged === null) this.#lastFrame = 0;
    this.unacknowledged ??= 0;
  }

  /** The object may have slept, and has forgotten then that it acknowledges: it does so once more. */
  ackAnew(hasSlept: boolean): void {
    this.#hasAcknowledged = false;
    if (hasSlept) this.#bytesSince = 0;
    this.unacknowledged = null;
  }

  leave(): void {
    if (!this.isOpen) return;
    this.read();
    this.isOpen = false;
    this.#hasLeft = true;
    this.#socket.close(1000, "done");
    this.#release();
  }

  /** Whether the hub may wait for it to acknowledge, which it does while a subscriber catches up (11.3). */
  get #isHeldBack(): boolean {
    return this.#bytesSince > REPLAY_CREDIT_BYTES;
  }

  #take(data: string | ArrayBuffer): void {
    const { reader } = this;
    const bytes = byteLengthOf(data);
    this.#bytes += bytes + MOST_HEAD_BYTES;
    if (reader instanceof RawReader) {
      reader.take(data);
    } else {
      const frame = reader.take(data);
      // Its reader took it, so it is.
      if (typeof data === "string") this.#observer.note(`${this.name} < ${data}`);
      if (reader.cursor !== null) this.#observer.sawCursor(reader.cursor);
      if (frame.type === "messages") this.#acknowledge(frame.cursor, bytes);
      // From here on all that it is sent counts, of the past as well.
      if (frame.type === "open" && this.options.subscribe.acks === "slowly") {
        this.#say(frame.cursor);
      }
    }
    for (const [key, resolves] of this.#waiting) {
      if (!reader.seen.has(key) && !this.#isHeldBack) continue;
      this.#waiting.delete(key);
      for (const resolve of resolves) resolve();
    }
  }

  #acknowledge(cursor: string, bytes: number): void {
    const { acks } = this.options.subscribe;
    if (acks === "slowly") {
      void this.#observer.watchAsync(this.name, () => this.#acknowledgeLater(cursor));
      return;
    }
    if (acks === "all" || (acks === "first" && !this.#hasAcknowledged)) {
      this.#hasAcknowledged = true;
      this.#bytesSince = 0;
      this.#say(cursor);
      return;
    }
    if (this.#hasAcknowledged) this.#bytesSince += bytes;
    if (this.unacknowledged !== null) this.unacknowledged += this.#lastFrame;
    this.#lastFrame = bytes;
  }

  /** One frame after the other, each in a time of its own. */
  async #acknowledgeLater(cursor: string): Promise<void> {
    const before = this.#lastAck;
    this.#lastAck = before.then(() => waitReally(SLOW_MS));
    await this.#lastAck;
    this.#say(cursor);
  }

  #say(cursor: string): void {
    if (this.isOpen) this.#socket.send(formatSubscriberAck(cursor));
  }

  #closed(code: number, reason: string): void {
    this.#observer.note(`${this.name} closed with ${code}`);
    this.isOpen = false;
    this.#release();
    if (this.#hasLeft) return;
    this.closeCode = code;
    const isExpected =
      this.options.mayBeClosed?.(code, reason) === true || CLOSE_CODES.includes(code);
    if (!isExpected) throw new Violation(`It was closed with ${code} (8.1)`);
    const taken = { bytes: this.#bytes, keys: this.reader.seen };
    if (code === 4408 && this.options.mayBeSlow?.(taken) === false) {
      throw new Violation("It was called slow, and too little waited for that (11.1, 11.6)");
    }
    if (code !== 1006) this.reader.close(code);
  }

  #release(): void {
    for (const resolve of [...this.#waiting.values()].flat()) resolve();
    this.#waiting.clear();
  }
}
