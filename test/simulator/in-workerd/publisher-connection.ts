/**
 * A simulated publisher: sends, and holds the hub to its answers (PROTOCOL.md, 10.8, 10.9). What an ack
 * says goes into the ledger.
 */
import { formatFinish, formatPublish } from "../../../src/core/client-frame.ts";
import { acknowledge, type Notes } from "./acknowledge.ts";
import type { Protocol } from "./actions.ts";
import { parseToPublisher, type ToPublisher } from "./hub-frame.ts";
import type { Place } from "./place.ts";
import { isSentOnce, type Owner, type Publication, type Publications } from "./publication.ts";
import type { Observer } from "./observer.ts";
import { Violation } from "./violation.ts";

/** The close codes that a publisher may see: finished, lost, sent too much, deleted, displaced. */
const CLOSE_CODES: readonly number[] = [1000, 1006, 1009, 4504, 4509];

/** How many a publisher may have that are not answered (10.7). */
export const MAX_UNANSWERED = 1000;
const PROBLEM = "urn:wspubsub:problem:";

/** A publication as it was sent. */
interface Sending {
  readonly publication: Publication;
  /** The one that it must follow, `null`: none. */
  readonly after: Publication | null;
  /** Whether it may be more than a publisher may have. */
  readonly isBeyond: boolean;
}

/** What a publisher's connection is made of. */
export interface PublisherOptions {
  readonly number: number;
  readonly protocol: Protocol;
  /** By whose key or token it is here. */
  readonly owner?: number;
  /** Whether it displaces who is there, where it may. */
  readonly takeover?: boolean;
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
  /** Whether its connection has ended, which the hub may learn before. */
  isGone = false;
  /** With which code it was closed. */
  closeCode: number | null = null;
  readonly takeover: boolean;
  /** Of a raw one as well, whose messages are nobody's. */
  readonly bearer: number;
  readonly #socket: WebSocket;
  readonly #notes: Notes;
  readonly #publications: Publications;
  readonly #observer: Observer;
  readonly #mayBeClosed: MayBeClosed;
  /** Whose publishes its are; a raw one's are nobody's. */
  readonly owner: Owner;
  #outstanding: Sending[] = [];
  /** What it sent last. */
  #last: Publication | null = null;
  readonly #acknowledged: Set<Publication> = new Set();
  /** What was refused, and is not in the log for all that it knows. */
  readonly #rejected: Set<Publication> = new Set();
  #lastNew: Place | null = null;
  #whenAnswered: (() => void)[] = [];

  constructor(
    { number, protocol, owner = 0, takeover = false, mayBeClosed = () => false }: PublisherOptions,
    socket: WebSocket,
    notes: Notes,
  ) {
    const { publications, observer } = notes;
    this.number = number;
    this.protocol = protocol;
    this.#socket = socket;
    this.takeover = takeover;
    this.bearer = owner;
    this.owner = protocol === "raw" ? null : owner;
    this.#notes = notes;
    this.#publications = publications;
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

  /** Whether who comes by a key or token of this owner may displace it (PROTOCOL.md, 13.13); the first has none. */
  yieldsTo(owner: number): boolean {
    return owner === 0 || owner === this.bearer;
  }

  /** Sends a publication; on a raw socket it has one message. `isChained`: only if the one before it is in the log. */
  publish(publication: Publication, isChained: boolean = false): void {
    if (!this.isOpen) return;
    this.#publications.send(publication, this.number);
    this.sent.push(publication);
    const { id, bodies } = publication;
    if (this.protocol === "raw") {
      for (const body of bodies) this.#socket.send(body);
      return;
    }
    const after = isChained ? this.#last : null;
    const isBeyond = this.#outstanding.length >= MAX_UNANSWERED;
    if (after !== null || isBeyond) publication.mayBeRefused = true;
    this.#outstanding.push({ publication, after, isBeyond });
    this.#last = publication;
    const named = after === null ? {} : { after: after.id };
    const frame = { id, ...named, messages: bodies };
    this.#socket.send(publication.isFinish ? formatFinish(frame) : formatPublish(frame));
  }

  /** Whether it was told that one of its is in the log. */
  hasAcknowledged(publication: Publication): boolean {
    return this.#acknowledged.has(publication);
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
    const sending = this.#next(id);
    const { publication } = sending;
    this.#acknowledged.add(publication);
    this.#rejected.delete(publication);
    const last = acknowledge(publication, cursor, this.#notes);
    this.#checkChain(sending);
    if (!isSentOnce(publication)) return;
    const before = this.#lastNew;
    const beforeFirst = last.offset - publication.keys.length;
    if (before?.epoch === last.epoch && before.offset > beforeFirst) {
      throw new Violation(`"${id}" was acknowledged at ${cursor}, out of order (10.7)`);
    }
    this.#lastNew = last;
  }

  /** What is answered next. */
  #next(id: string | null): Sending {
    const sending = this.#outstanding.shift();
    if (sending === undefined || sending.publication.id !== id) {
      throw new Violation(`"${id}" was answered before "${sending?.publication.id}" (10.8)`);
    }
    return sending;
  }

  /** What must follow another one is not in the log without it. */
  #checkChain({ publication, after }: Sending): void {
    if (after === null || !this.#rejected.has(after)) return;
    if (!isSentOnce(publication) || !isSentOnce(after)) return;
    throw new Violation(`"${publication.id}" was published, and "${after.id}" was not (10.7)`);
  }

  #refused({ id, problem }: Extract<ToPublisher, { type: "error" }>): void {
    const slug = problem.type.replace(PROBLEM, "");
    // Told at once; all else in its turn.
    const beyond = this.#outstanding.find(
      ({ publication, isBeyond }) => isBeyond && publication.id === id,
    );
    if (slug === "topic-overloaded" && beyond !== undefined) {
      this.#outstanding = this.#outstanding.filter((sending) => sending !== beyond);
      this.#rejected.add(beyond.publication);
      return;
    }
    const sending = this.#next(id);
    if (!this.#mayBeRefused(sending, slug)) {
      throw new Violation(`"${id}" was refused: ${slug}, ${problem.detail}`);
    }
    // Its id is in the log, for another content.
    if (slug !== "id-reused") this.#rejected.add(sending.publication);
  }

  #mayBeRefused({ publication, after }: Sending, slug: string): boolean {
    switch (slug) {
      case "message-too-large":
        return publication.isOversize;
      case "id-reused":
        return this.#publications.rivalsOf(publication).some(({ lastSend }) => lastSend > 0);
      case "topic-shared":
        return publication.isFinish;
      case "out-of-order":
        if (after === null) return false;
        return !this.#acknowledged.has(after) || this.#publications.mayBeForgotten(after);
      default:
        return false;
    }
  }

  #closed(code: number, reason: string): void {
    this.#observer.note(`${this.name} closed with ${code}`);
    this.isOpen = false;
    this.isGone = true;
    this.closeCode = code;
    this.#release();
    if (this.#mayBeClosed(code, reason)) return;
    if (!CLOSE_CODES.includes(code)) throw new Violation(`It was closed with ${code} (8.1)`);
  }

  #release(): void {
    for (const resolve of this.#whenAnswered.splice(0)) resolve();
  }
}
