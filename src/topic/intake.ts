/**
 * Intake: what publishers send becomes publications, and what is in the log is acknowledged. Raw frames
 * are taken as they are; a frame of the stream is taken whole or refused, and a publish that is repeated
 * is acknowledged again and not taken again (PROTOCOL.md, 10.7 to 10.11). A `finish` is a publish that nothing
 * follows (10.14).
 * Invariant: what one socket is told comes in the order of what it sent, as far as that was read.
 */
import { isLargerThan } from "../core/byte-size.ts";
import {
  parsePublisherFrame,
  type InvalidFrame,
  type PublisherFrame,
} from "../core/client-frame.ts";
import {
  INVALID_FRAME,
  MESSAGE_TOO_LARGE,
  TOO_MANY_REQUESTS,
  TOPIC_FINISHED,
  type Close,
} from "../core/close-code.ts";
import { formatCursor, type Cursor } from "../core/cursor.ts";
import { formatAck, formatError } from "../core/hub-frame.ts";
import type { Message } from "../core/message.ts";
import type { Policy } from "../core/policy.ts";
import type { Problem } from "../core/problem.ts";
import { formatMessageList } from "../core/stream.ts";
import {
  countMessages,
  isOverstructured,
  maxPublishUnits,
  mayFinish,
  readId,
} from "../core/unread-publish.ts";
import { sendFrame } from "../delivery/send-frame.ts";
import { fingerprintOf } from "./fingerprint.ts";
import type { Log, Logged } from "./log.ts";
import type { RateVerdict } from "./message-rate.ts";
import type { Owner } from "./owner.ts";
import type { Publication, PublishName } from "./publication.ts";
import type { Publisher } from "./publisher.ts";
import { MAX_IDS_EACH } from "./recent-ids.ts";
import type { Sequencer } from "./sequencer.ts";

/** Seconds after which an overloaded topic may be tried again. */
const RETRY_AFTER_SECONDS = 1;

const OVERLOADED: Problem = {
  slug: "topic-overloaded",
  detail: "Nothing of it was published: send it again",
  retryAfter: RETRY_AFTER_SECONDS,
};
const TOO_MANY_UNANSWERED: Problem = {
  slug: "topic-overloaded",
  detail: `Nothing of it was published: ${MAX_IDS_EACH} before it are not answered`,
  retryAfter: RETRY_AFTER_SECONDS,
};
const ID_REUSED: Problem = {
  slug: "id-reused",
  detail: "Nothing of it was published: its id stands for other messages",
};
const OUT_OF_ORDER: Problem = {
  slug: "out-of-order",
  detail: 'Nothing of it was published: nor was what "after" names, as far as is remembered',
};

const TOPIC_SHARED: Problem = {
  slug: "topic-shared",
  detail:
    "Nothing of it was published: leave instead, or have the operator make the domain exclusive (domains set --publishers exclusive)",
};

/** What became of a publish; shared with those who repeated it while it was under way. */
interface Outcome extends Pick<Logged, "fingerprint"> {
  /** Where it is in the log, `null` while it is not. */
  cursor: Cursor | null;
}

/** What an intake needs of its topic. */
export interface IntakeTopic {
  /** A publish of the life that was finished last, or what finished it; `null` when it is not known. */
  findFinished(owner: Owner, id: string): Logged | null;
  /** A publisher has finished the topic, and all that it has published is in the log: is answered when it is over. */
  finish(by: PublishName, answer: () => void): void;
  /** It says so again: what was begun for that alone is not to go on. */
  finishAgain(answer: () => void): void;
}

/** What is published, and under which name. */
interface Named extends Omit<Publication, "receipt"> {
  readonly name: PublishName | null;
}

const NOTHING: Named = { messages: [], name: null };

/** The intake of one topic. */
export class Intake {
  readonly #log: Log;
  readonly #sequencer: Sequencer;
  readonly #topic: IntakeTopic;
  /** By owner and id, what is published and not in the log yet. */
  readonly #underWay: Map<Owner, Map<string, Outcome>> = new Map();

  constructor(log: Log, sequencer: Sequencer, topic: IntakeTopic) {
    this.#log = log;
    this.#sequencer = sequencer;
    this.#topic = topic;
  }

  /** Takes a frame; returns why its publisher must be closed, `null` when it may go on. */
  take(publisher: Publisher, frame: Message, policy: Policy, nowMs: number): Close | null {
    if (publisher.protocol === "stream") return this.#takeFrame(publisher, frame, policy, nowMs);
    if (isLargerThan(frame, policy.maxMessageBytes)) return MESSAGE_TOO_LARGE;
    // There is no other way to tell it.
    if (rateVerdict(publisher, 1, policy, nowMs) !== null) return TOO_MANY_REQUESTS;
    this.#sequencer.publish({ messages: [frame], receipt: null });
    return null;
  }

  /** Takes a frame of the stream. What is refused whatever is in it is refused unread: parsing costs most. */
  #takeFrame(publisher: Publisher, frame: Message, policy: Policy, nowMs: number): Close | null {
    const { socket, rate } = publisher;
    const { maxMessageBytes, messagesPerSecond } = policy;
    if (typeof frame === "string") {
      const isOver = messagesPerSecond !== null && rate.isEmpty(messagesPerSecond, nowMs);
      if (isOver && !mayFinish(frame)) {
        const verdict = rateVerdict(publisher, countMessages(frame), policy, nowMs);
        if (verdict !== null) return this.#refuseRate(publisher, readId(frame), policy, verdict);
      }
      if (publisher.unanswered >= MAX_IDS_EACH) {
        // At once: what waits for its turn must have a bound, and who sends so much does not wait for answers.
        sendFrame(socket, formatError(readId(frame), TOO_MANY_UNANSWERED));
        return null;
      }
      const maxUnits = maxPublishUnits(maxMessageBytes);
      if (frame.length > maxUnits) {
        const detail = `The frame has more than ${maxUnits} characters, which no publish here needs`;
        this.#refuse(publisher, readId(frame), { slug: "message-too-large", detail });
        return null;
      }
      if (isOverstructured(frame)) {
        const detail = "Expected less that is not in strings";
        return this.#refuseFrame(socket, { id: readId(frame), detail });
      }
    }
    const parsed = parsePublisherFrame(frame);
    if (!parsed.ok) return this.#refuseFrame(socket, parsed.error);
    const { id, messages } = parsed.value;
    const isBare = messages.length === 0;
    const verdict = isBare ? null : rateVerdict(publisher, messages.length, policy, nowMs);
    if (verdict !== null) return this.#refuseRate(publisher, id, policy, verdict);
    const problem = this.#takePublish(publisher, parsed.value, policy);
    if (problem !== null) {
      // What ends nothing counts as a message: it would be a way around the rate.
      const vain = isBare ? rateVerdict(publisher, 1, policy, nowMs) : null;
      if (vain !== null) return this.#refuseRate(publisher, id, policy, vain);
      this.#refuse(publisher, id, problem);
      return null;
    }
    return parsed.value.type === "finish" ? TOPIC_FINISHED : null;
  }

  /** Tells a publisher what is wrong with a frame; what went before it is acknowledged before the socket closes. */
  #refuseFrame(socket: WebSocket, { id, detail }: InvalidFrame): Close {
    this.#sequencer.flush();
    sendFrame(socket, formatError(id, { slug: "invalid-frame", detail }));
    return INVALID_FRAME;
  }

  /** Tells a publisher that it is over its rate, and closes it when it was told often enough. */
  #refuseRate(
    publisher: Publisher,
    id: string | null,
    policy: Policy,
    verdict: RateRefusal,
  ): Close | null {
    this.#refuse(publisher, id, tooManyMessages(policy, verdict));
    if (verdict.type === "over") return null;
    this.#sequencer.flush();
    return TOO_MANY_REQUESTS;
  }

  /** Takes what a publisher says, if there is no problem with it; it is answered in its turn. */
  #takePublish(publisher: Publisher, frame: PublisherFrame, policy: Policy): Problem | null {
    const { owner } = publisher;
    const { type, id, messages } = frame;
    const isFinish = type === "finish";
    const known = this.#find(owner, id);
    const problem = known === null ? this.#problemOf(frame, owner, policy) : null;
    if (problem !== null) return problem;
    // The log has messages as this list, too: it is written once, and hashed faster than they are.
    const list = formatMessageList(messages);
    const fingerprint = fingerprintOf(isFinish ? `finish${list}` : list);
    if (known !== null) {
      // The version before, which knew no content, knew no finish either.
      const isOfBefore = known.fingerprint === null && !isFinish;
      if (known.fingerprint !== fingerprint && !isOfBefore) return ID_REUSED;
      if (isFinish) {
        this.#sequencer.flush();
        const ack = formatAck(id, formatCursor(known.cursor ?? this.#log.head));
        this.#topic.finishAgain(() => sendFrame(publisher.socket, ack));
      } else this.#acknowledge(publisher, id, known);
      return null;
    }
    const outcome: Outcome = { fingerprint, cursor: null };
    const own = this.#underWay.get(owner) ?? new Map<string, Outcome>();
    if (own.size === 0) this.#underWay.set(owner, own);
    own.set(id, outcome);
    const name = { owner, id, fingerprint };
    this.#answer(publisher, { messages, list, name }, (cursor) => {
      own.delete(id);
      if (own.size === 0) this.#underWay.delete(owner);
      outcome.cursor = cursor;
      if (!isFinish) sendFrame(publisher.socket, formatAck(id, formatCursor(cursor)));
    });
    if (isFinish) {
      // All that was sent before it is in the log and acknowledged, and its own messages are in the log.
      this.#sequencer.flush();
      const ack = formatAck(id, formatCursor(this.#log.head));
      this.#topic.finish(name, () => sendFrame(publisher.socket, ack));
    }
    return null;
  }

  /** Who repeats an id stands behind whoever published it. */
  #acknowledge(publisher: Publisher, id: string, outcome: Outcome): void {
    this.#answer(publisher, NOTHING, (cursor) => {
      sendFrame(publisher.socket, formatAck(id, formatCursor(outcome.cursor ?? cursor)));
    });
  }

  #refuse(publisher: Publisher, id: string | null, problem: Problem): void {
    this.#answer(publisher, NOTHING, () => sendFrame(publisher.socket, formatError(id, problem)));
  }

  /** Answers in its turn, whatever there is to publish: answers come in the order of their frames. */
  #answer(
    publisher: Publisher,
    { messages, list, name }: Named,
    answer: (at: Cursor) => void,
  ): void {
    publisher.unanswered += 1;
    const ack = (cursor: Cursor): void => {
      publisher.unanswered -= 1;
      answer(cursor);
    };
    this.#sequencer.publish({ messages, list, receipt: { name, ack } });
  }

  /** What became of a publish, `null` when nothing is known of it. */
  #find(owner: Owner, id: string): Outcome | null {
    return (
      this.#underWay.get(owner)?.get(id) ??
      this.#log.find(owner, id) ??
      this.#topic.findFinished(owner, id)
    );
  }

  /** Why a publish that is new cannot be taken, `null` when it can. */
  #problemOf(
    { type, messages, after }: PublisherFrame,
    owner: Owner,
    { maxMessageBytes: maxBytes, publishers }: Policy,
  ): Problem | null {
    if (type === "finish" && publishers === "shared") return TOPIC_SHARED;
    if (after !== undefined && this.#find(owner, after) === null) return OUT_OF_ORDER;
    const tooLarge = messages.findIndex((message) => isLargerThan(message, maxBytes));
    if (tooLarge >= 0) {
      const detail = `"messages[${tooLarge}]" has more than ${maxBytes} bytes`;
      return { slug: "message-too-large", detail };
    }
    return this.#sequencer.isFull ? OVERLOADED : null;
  }
}

/** A publisher is over its rate. */
type RateRefusal = Exclude<RateVerdict, { readonly type: "within" }>;

/** `null` while a publisher keeps to its domain's rate. */
function rateVerdict(
  publisher: Publisher,
  count: number,
  { messagesPerSecond }: Policy,
  nowMs: number,
): RateRefusal | null {
  if (messagesPerSecond === null) return null;
  const verdict = publisher.spend(count, messagesPerSecond, nowMs);
  return verdict.type === "within" ? null : verdict;
}

function tooManyMessages({ messagesPerSecond }: Policy, verdict: RateRefusal): Problem {
  const detail = `Nothing of it was published: this domain takes ${messagesPerSecond} messages a second of a publisher`;
  return verdict.type === "over"
    ? { slug: "too-many-requests", detail, retryAfter: verdict.retryAfterSeconds }
    : { slug: "too-many-requests", detail };
}
