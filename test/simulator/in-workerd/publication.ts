/** What was published: the register of every message that a publisher ever sent. */
import { createBody, keyOf, mostBytesOf, shortKey, type Body } from "./body.ts";
import type { Batch } from "./actions.ts";
import { MAX_MESSAGE_BYTES } from "./scenario.ts";
import { Violation } from "./violation.ts";

/** Whose publishes the hub remembers (PROTOCOL.md, 10.9); `null`: raw messages, of which it remembers none. */
export type Owner = number | null;

/** One `publish` of a stream, or one message of a raw socket. */
export interface Publication {
  /** Counts all publications in the order in which they were first sent. */
  readonly number: number;
  readonly owner: Owner;
  /** Counts from 1 for each owner; two publications have the same one where it is used again. */
  readonly id: string;
  readonly bodies: readonly Body[];
  readonly keys: readonly string[];
  /** Bytes that it takes at most, each message in a frame of its own. */
  readonly mostBytes: number;
  /** The numbers of the publishers that sent it, once for each time. */
  readonly senders: number[];
  /** Whether it says that nothing follows; it may then have no message. */
  readonly isFinish: boolean;
  /** Whether one of its messages is larger than the policy allows. */
  readonly isOversize: boolean;
  /** Whether the hub may have refused it. */
  mayBeRefused: boolean;
  /** How much had been sent when it was, first and last. */
  firstSend: number;
  lastSend: number;
  /** When it was published at the earliest, as the hub's clock has it: when it was sent, unless that was set back. */
  earliestMs: number;
  /** The same at the latest; Infinity while it may be under way. */
  latestMs: number;
  /** How old it was at most before the clock was set back. */
  mostAgeMs: number;
}

/** A message and the publication that it is part of. */
export interface SentMessage {
  readonly publication: Publication;
  readonly index: number;
}

/** All publications of a scenario. */
export class Publications {
  readonly #all: Publication[] = [];
  readonly #messages: Map<string, SentMessage> = new Map();
  /** Of how many publishes of one owner the hub knows the ids for certain. */
  readonly #remembered: number;
  #sends = 0;

  constructor(remembered: number = Infinity) {
    this.#remembered = remembered;
  }

  get count(): number {
    return this.#all.length;
  }

  /** How much was sent; what is sent again counts again. */
  get sends(): number {
    return this.#sends;
  }

  /** Makes up messages that nobody published before. */
  create(batch: Batch, owner: Owner = 0): Publication {
    return this.#register(this.#createBodies(batch), owner);
  }

  /** Makes up what finishes a topic, behind some messages or none. */
  createFinish(batch: Batch, owner: Owner = 0): Publication {
    return this.#register(this.#createBodies(batch), owner, { isFinish: true });
  }

  /** Makes up messages under the id of others. */
  createRival({ owner, id }: Publication, batch: Batch): Publication {
    const rival = this.#register(this.#createBodies(batch), owner, { id });
    for (const { publication } of this.#messages.values()) {
      if (publication.owner === owner && publication.id === id) publication.mayBeRefused = true;
    }
    return rival;
  }

  /** Makes up a message that is larger than the policy allows. */
  createOversize(owner: Owner = 0): Publication {
    const name = `${this.#all.length}.0`;
    return this.#register([name.padEnd(MAX_MESSAGE_BYTES + 1, ".")], owner);
  }

  /** The message with this content; it must have been sent. */
  messageOf(key: string): SentMessage {
    const message = this.#messages.get(key);
    if (message === undefined) throw new Violation(`Nobody published "${shortKey(key)}"`);
    return message;
  }

  /** A publisher sends one. */
  send(publication: Publication, publisher: number): void {
    const send = ++this.#sends;
    if (publication.senders.length === 0) publication.firstSend = send;
    publication.lastSend = send;
    publication.senders.push(publisher);
  }

  /** Others that were sent under the same id. */
  rivalsOf({ owner, id, number }: Publication): Publication[] {
    if (owner === null) return [];
    return this.#all.filter(
      (other) => other.owner === owner && other.id === id && other.number !== number,
    );
  }

  /** Whether its owner has published so much since that the hub need not know of it any more. */
  mayBeForgotten({ owner, firstSend }: Publication): boolean {
    return (
      this.#all.filter((other) => other.owner === owner && other.lastSend > firstSend).length >=
      this.#remembered
    );
  }

  /** Bytes that what was sent after so many sends takes at most, as it goes over the wire. */
  mostBytesSince(sends: number): number {
    return this.#all
      .filter(({ lastSend }) => lastSend > sends)
      .reduce((sum, { mostBytes }) => sum + mostBytes, 0);
  }

  /** Nothing is under way. */
  haveArrived(nowMs: number): void {
    for (const one of this.#all) one.latestMs = Math.min(one.latestMs, nowMs);
  }

  /** The clock is set back from a time to another one. */
  setBack(fromMs: number, toMs: number): void {
    for (const one of this.#all) {
      one.mostAgeMs = Math.max(one.mostAgeMs, fromMs - one.earliestMs);
      one.earliestMs = Math.min(one.earliestMs, toMs);
    }
  }

  #createBodies({ messages, kind }: Batch): Body[] {
    const number = this.#all.length;
    return Array.from({ length: messages }, (_, index) => createBody(`${number}.${index}`, kind));
  }

  #register(
    bodies: readonly Body[],
    owner: Owner,
    how: { readonly id?: string; readonly isFinish?: boolean } = {},
  ): Publication {
    const next = 1 + this.#all.filter((other) => other.owner === owner).length;
    const { id = String(next), isFinish = false } = how;
    const isOversize = bodies.some(
      (body) => typeof body === "string" && body.length > MAX_MESSAGE_BYTES,
    );
    const publication: Publication = {
      number: this.#all.length,
      owner,
      id,
      bodies,
      keys: bodies.map(keyOf),
      mostBytes: bodies.reduce((sum, body) => sum + mostBytesOf(body), 0),
      senders: [],
      isFinish,
      isOversize,
      mayBeRefused: isOversize,
      firstSend: 0,
      lastSend: 0,
      earliestMs: Date.now(),
      latestMs: Infinity,
      mostAgeMs: 0,
    };
    this.#all.push(publication);
    publication.keys.forEach((key, index) => this.#messages.set(key, { publication, index }));
    return publication;
  }
}

/** Whether exactly one publisher sent it, once: then its place says where that publisher was. */
export function isSentOnce({ senders }: Publication): boolean {
  return senders.length === 1;
}

/** How old it is at most by the hub's clock, or was; milliseconds. */
export function mostAgeMs({ earliestMs, mostAgeMs: before }: Publication): number {
  return Math.max(before, Date.now() - earliestMs);
}
