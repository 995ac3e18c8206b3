/**
 * Publishes that have an id, of sockets and posts alike: each is taken once, under the id that its publisher gave it,
 * and a repeat gets the same answer (PROTOCOL.md, 10.7 to 10.9). A `finish` is a publish that nothing follows (10.14).
 * Knows no sockets.
 * Invariant: an owner's id stands for one content, from the moment that it is taken until it is forgotten.
 */
import { isLargerThan } from "../core/byte-size.ts";
import type { PublisherFrame } from "../core/client-frame.ts";
import type { Cursor } from "../core/cursor.ts";
import type { Policy } from "../core/policy.ts";
import type { Problem } from "../core/problem.ts";
import { formatMessageList } from "../core/stream.ts";
import { fingerprintOf } from "./fingerprint.ts";
import type { Log, Logged } from "./log.ts";
import type { RateVerdict } from "./message-rate.ts";
import type { Owner } from "./owner.ts";
import type { Publication, PublishName } from "./publication.ts";
import { MAX_IDS_EACH } from "./recent-ids.ts";
import type { Sequencer } from "./sequencer.ts";

/** Seconds after which an overloaded topic may be tried again. */
const RETRY_AFTER_SECONDS = 1;

const OVERLOADED: Problem = {
  slug: "topic-overloaded",
  detail: "Nothing of it was published: send it again",
  retryAfter: RETRY_AFTER_SECONDS,
};
/** The answer to one more than may be under way of one publisher. */
export const TOO_MANY_UNANSWERED: Problem = {
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

/** What a policy says of a publish. */
export type PublishRules = Pick<Policy, "maxMessageBytes" | "publishers">;

/** What publishes need of their topic. */
export interface PublishedTopic {
  /** A publish of the life that was finished last, or what finished it; `null` when it is not known. */
  findFinished(owner: Owner, id: string): Logged | null;
  /** A publisher has finished the topic, and all that it has published is in the log: is answered when it is over. */
  finish(by: PublishName, answer: () => void): void;
  /** It says so again: what was begun for that alone is not to go on. */
  finishAgain(answer: () => void): void;
}

/** What became of a publish; shared with those who repeated it while it was under way. */
export interface Outcome extends Pick<Logged, "fingerprint"> {
  /** Where it is in the log, `null` while it is not. */
  cursor: Cursor | null;
}

/** What is to be done about a publish. */
export type JudgedPublish =
  | { readonly type: "refused"; readonly problem: Problem }
  | { readonly type: "repeated"; readonly outcome: Outcome; readonly isFinish: boolean }
  | {
      readonly type: "new";
      readonly name: PublishName;
      readonly isFinish: boolean;
      readonly publication: Pick<Publication, "messages" | "list">;
    };

/** A publish that need not be refused. */
export type TakenPublish = Exclude<JudgedPublish, { readonly type: "refused" }>;

/** The publishes of one topic. */
export class Publishes {
  readonly #log: Log;
  readonly #sequencer: Sequencer;
  readonly #topic: PublishedTopic;
  /** By owner and id, what is published and not in the log yet. */
  readonly #underWay: Map<Owner, Map<string, Outcome>> = new Map();

  constructor(log: Log, sequencer: Sequencer, topic: PublishedTopic) {
    this.#log = log;
    this.#sequencer = sequencer;
    this.#topic = topic;
  }

  /** What became of a publish, `null` when nothing is known of it. */
  find(owner: Owner, id: string): Outcome | null {
    return (
      this.#underWay.get(owner)?.get(id) ??
      this.#log.find(owner, id) ??
      this.#topic.findFinished(owner, id)
    );
  }

  /** Judges a publish; changes nothing. */
  judge(owner: Owner, frame: PublisherFrame, rules: PublishRules): JudgedPublish {
    const { type, id, messages } = frame;
    const isFinish = type === "finish";
    const known = this.find(owner, id);
    const problem = known === null ? this.#problemOf(frame, owner, rules) : null;
    if (problem !== null) return { type: "refused", problem };
    // The log has messages as this list, too: it is written once, and hashed faster than they are.
    const list = formatMessageList(messages);
    const fingerprint = fingerprintOf(isFinish ? `finish${list}` : list);
    if (known === null) {
      const name = { owner, id, fingerprint };
      return { type: "new", name, isFinish, publication: { messages, list } };
    }
    // The version before, which knew no content, knew no finish either.
    const isOfBefore = known.fingerprint === null && !isFinish;
    return isOfBefore || known.fingerprint === fingerprint
      ? { type: "repeated", outcome: known, isFinish }
      : { type: "refused", problem: ID_REUSED };
  }

  /**
   * Does what was judged in the same step; answers, in its turn, with where the publish is in the log. A repeat
   * stands behind the first one.
   */
  take(judged: TakenPublish, answer: (at: Cursor) => void): void {
    if (judged.type === "repeated") {
      const { outcome } = judged;
      if (!judged.isFinish) {
        this.answerInTurn((cursor) => answer(outcome.cursor ?? cursor));
        return;
      }
      this.#sequencer.flush();
      const at = outcome.cursor ?? this.#log.head;
      this.#topic.finishAgain(() => answer(at));
      return;
    }
    const { name, isFinish, publication } = judged;
    const { owner, id } = name;
    const outcome: Outcome = { fingerprint: name.fingerprint, cursor: null };
    const own = this.#underWay.get(owner) ?? new Map<string, Outcome>();
    if (own.size === 0) this.#underWay.set(owner, own);
    own.set(id, outcome);
    const ack = (cursor: Cursor): void => {
      own.delete(id);
      if (own.size === 0) this.#underWay.delete(owner);
      outcome.cursor = cursor;
      if (!isFinish) answer(cursor);
    };
    this.#sequencer.publish({ ...publication, receipt: { name, ack } });
    if (!isFinish) return;
    // All that was sent before it is in the log and answered for, and its own messages are in the log.
    this.#sequencer.flush();
    // By then the log may have begun anew.
    const { head } = this.#log;
    this.#topic.finish(name, () => answer(head));
  }

  /** Answers when all is in the log that was published before: answers come in the order of what was sent. */
  answerInTurn(answer: (at: Cursor) => void): void {
    this.#sequencer.publish({ messages: [], receipt: { name: null, ack: answer } });
  }

  /** Why a publish that is new cannot be taken, `null` when it can. */
  #problemOf(
    { type, messages, after }: PublisherFrame,
    owner: Owner,
    { maxMessageBytes: maxBytes, publishers }: PublishRules,
  ): Problem | null {
    if (type === "finish" && publishers === "shared") return TOPIC_SHARED;
    if (after !== undefined && this.find(owner, after) === null) return OUT_OF_ORDER;
    const tooLarge = messages.findIndex((message) => isLargerThan(message, maxBytes));
    if (tooLarge >= 0) {
      const detail = `"messages[${tooLarge}]" has more than ${maxBytes} bytes`;
      return { slug: "message-too-large", detail };
    }
    return this.#sequencer.isFull ? OVERLOADED : null;
  }
}

/** A publisher is over its rate. */
export type RateRefusal = Exclude<RateVerdict, { readonly type: "within" }>;

/** What a publisher over its rate is told. */
export function tooManyMessages({ messagesPerSecond }: Policy, verdict: RateRefusal): Problem {
  const detail = `Nothing of it was published: this domain takes ${messagesPerSecond} messages a second of a publisher`;
  return verdict.type === "over"
    ? { slug: "too-many-requests", detail, retryAfter: verdict.retryAfterSeconds }
    : { slug: "too-many-requests", detail };
}
