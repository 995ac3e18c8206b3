/** What was published: the register of every message that a publisher ever sent. */
import { createBody, keyOf, shortKey, type Body } from "./body.ts";
import type { Batch } from "./actions.ts";
import { MAX_MESSAGE_BYTES } from "./scenario.ts";
import { Violation } from "./violation.ts";

/** One `publish` of a stream, or one message of a raw socket. */
export interface Publication {
  /** Counts all publications in the order in which they were first sent. */
  readonly number: number;
  readonly id: string;
  readonly bodies: readonly Body[];
  readonly keys: readonly string[];
  readonly firstSentAtMs: number;
  /** The numbers of the publishers that sent it, once for each time. */
  readonly senders: number[];
  /** Whether one of its messages is larger than the policy allows. */
  readonly isOversize: boolean;
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

  /** UTF-16 units of all messages. */
  units = 0;

  get count(): number {
    return this.#all.length;
  }

  /** Makes up messages that nobody published before. */
  create({ messages, kind }: Batch): Publication {
    const number = this.#all.length;
    const names = Array.from({ length: messages }, (_, index) => `${number}.${index}`);
    return this.#register(
      names.map((name) => createBody(name, kind)),
      false,
    );
  }

  /** Makes up a message that is larger than the policy allows. */
  createOversize(): Publication {
    const name = `${this.#all.length}.0`;
    return this.#register([name.padEnd(MAX_MESSAGE_BYTES + 1, ".")], true);
  }

  /** The message with this content; it must have been sent. */
  messageOf(key: string): SentMessage {
    const message = this.#messages.get(key);
    if (message === undefined) throw new Violation(`Nobody published "${shortKey(key)}"`);
    return message;
  }

  #register(bodies: readonly Body[], isOversize: boolean): Publication {
    const number = this.#all.length;
    const publication: Publication = {
      number,
      id: `publication-${number}`,
      bodies,
      keys: bodies.map(keyOf),
      firstSentAtMs: Date.now(),
      senders: [],
      isOversize,
    };
    this.#all.push(publication);
    this.units += publication.keys.join("").length;
    publication.keys.forEach((key, index) => this.#messages.set(key, { publication, index }));
    return publication;
  }
}

/** Whether exactly one publisher sent it, once: then its place says where that publisher was. */
export function isSentOnce({ senders }: Publication): boolean {
  return senders.length === 1;
}
