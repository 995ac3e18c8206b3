/**
 * A simulated publisher: sends, and holds the hub to its answers (PROTOCOL.md, 10.8, 10.9). What an ack
 * says goes into the ledger.
 */
import { formatPublish } from "../../../src/core/client-frame.ts";
import type { Protocol } from "./actions.ts";
import { parseToPublisher, type ToPublisher } from "./hub-frame.ts";
import type { Ledger } from "./ledger.ts";
import { parsePlace, type Place } from "./place.ts";
import { isSentOnce, type Publication } from "./publication.ts";
import type { Observer } from "./observer.ts";
import { Violation } from "./violation.ts";

/** The close codes that a publisher may see: displaced, sent too much, lost. */
const CLOSE_CODES: readonly number[] = [1000, 1006, 1009, 4509];

/** What a publisher's connection is made of. */
export interface PublisherOptions {
  readonly number: number;
  readonly protocol: Protocol;
  /** Whether it may be closed like this, too; throws a violation where it must not. */
  readonly mayBeClosed?: MayBeClosed;
}

/** Judges a close that not every scenario may see. */
export type MayBeClosed = (code: number, reason: string) => boolean;

/** The client's end of a publisher's socket. */
export class PublisherConnection {
  readonly number: number;
  readonly protocol: Protocol;
  /** Everything it sent, in order. */
  readonly sent: Publication[] = [];
  /** Resolves when the socket is closed, by whomever. */
  readonly gone: Promise<void>;
  isOpen = true;
  readonly #socket: WebSocket;
  readonly #ledger: Ledger;
  readonly #observer: Observer;
  readonly #mayBeClosed: MayBeClosed;
  #outstanding: Publication[] = [];
  #lastNew: Place | null = null;
  #whenAnswered: (() => void)[] = [];

  constructor(
    { number, protocol, mayBeClosed = () => false }: PublisherOptions,
    socket: WebSocket,
    { ledger, observer }: { ledger: Ledger; observer: Observer },
  ) {
    this.number = number;
    this.protocol = protocol;
    this.#socket = socket;
    this.#ledger = ledger;
    this.#observer = observer;
    this.#mayBeClosed = mayBeClosed;
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
    socket.accept();
  }

  get name(): string {
    return `publisher ${this.number} (${this.protocol})`;
  }

  /** Sends a publication; on a raw socket it has one message. */
  publish(publication: Publication): void {
    if (!this.isOpen) return;
    publication.senders.push(this.number);
    this.sent.push(publication);
    const { id, bodies } = publication;
    if (this.protocol === "raw") {
      for (const body of bodies) this.#socket.send(body);
      return;
    }
    this.#outstanding.push(publication);
    this.#socket.send(formatPublish({ id, messages: bodies }));
  }

  /** Resolves once every publication was answered, or none can be any more. */
  answered(): Promise<void> {
    if (this.#outstanding.length === 0 || !this.isOpen) return Promise.resolve();
    return new Promise((resolve) => this.#whenAnswered.push(resolve));
  }

  leave(): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    this.#socket.close(1000, "done");
  }

  #take(data: string | ArrayBuffer): void {
    if (this.protocol === "raw") throw new Violation("A raw publisher received a message (6.4)");
    const frame = parseToPublisher(data);
    this.#observer.note(`${this.name} < ${JSON.stringify(frame)}`);
    if (frame.type === "ack") this.#acked(frame);
    else this.#refused(frame);
    if (this.#outstanding.length === 0) this.#release();
  }

  #acked({ id, cursor }: Extract<ToPublisher, { type: "ack" }>): void {
    const publication = this.#outstanding.shift();
    if (publication?.id !== id) {
      throw new Violation(`"${id}" was acknowledged before "${publication?.id}" (10.8)`);
    }
    const last = parsePlace(cursor);
    const first = last.offset - publication.keys.length + 1;
    publication.keys.forEach((key, index) => {
      this.#ledger.record(key, { epoch: last.epoch, offset: first + index });
    });
    this.#observer.sawCursor(cursor);
    if (!isSentOnce(publication)) return;
    const before = this.#lastNew;
    if (before?.epoch === last.epoch && before.offset >= first) {
      throw new Violation(`"${id}" was acknowledged at ${cursor}, out of order (10.7)`);
    }
    this.#lastNew = last;
  }

  #refused({ id, problem }: Extract<ToPublisher, { type: "error" }>): void {
    const publication = this.#outstanding.find((candidate) => candidate.id === id);
    if (publication === undefined) throw new Violation(`An error answers nothing: "${id}"`);
    this.#outstanding = this.#outstanding.filter((candidate) => candidate !== publication);
    if (problem.type !== "urn:wspubsub:problem:message-too-large" || !publication.isOversize) {
      throw new Violation(`"${id}" was refused: ${problem.detail}`);
    }
  }

  #closed(code: number, reason: string): void {
    this.#observer.note(`${this.name} closed with ${code}`);
    this.isOpen = false;
    this.#release();
    if (this.#mayBeClosed(code, reason)) return;
    if (!CLOSE_CODES.includes(code)) throw new Violation(`It was closed with ${code} (8.1)`);
  }

  #release(): void {
    for (const resolve of this.#whenAnswered.splice(0)) resolve();
  }
}
