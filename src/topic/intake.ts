/**
 * Intake: what publishers send over sockets becomes publications, and what is in the log is acknowledged. Raw frames
 * are taken as they are; a frame of the stream is taken whole or refused (PROTOCOL.md, 10.7 to 10.11, 10.14).
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
import { formatCursor } from "../core/cursor.ts";
import { formatAck, formatError } from "../core/hub-frame.ts";
import type { Message } from "../core/message.ts";
import type { Policy } from "../core/policy.ts";
import type { Problem } from "../core/problem.ts";
import {
  countMessages,
  isOverstructured,
  maxPublishUnits,
  mayFinish,
  readId,
} from "../core/unread-publish.ts";
import { sendFrame } from "../delivery/send-frame.ts";
import type { Publisher } from "./publisher.ts";
import {
  tooManyMessages,
  TOO_MANY_UNANSWERED,
  type Publishes,
  type RateRefusal,
} from "./publishes.ts";
import { MAX_IDS_EACH } from "./recent-ids.ts";
import type { Sequencer } from "./sequencer.ts";

/** The intake of one topic. */
export class Intake {
  readonly #publishes: Publishes;
  readonly #sequencer: Sequencer;

  constructor(publishes: Publishes, sequencer: Sequencer) {
    this.#publishes = publishes;
    this.#sequencer = sequencer;
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
    const { id } = frame;
    const judged = this.#publishes.judge(publisher.owner, frame, policy);
    if (judged.type === "refused") return judged.problem;
    publisher.unanswered += 1;
    this.#publishes.take(judged, (cursor) => {
      publisher.unanswered -= 1;
      sendFrame(publisher.socket, formatAck(id, formatCursor(cursor)));
    });
    return null;
  }

  #refuse(publisher: Publisher, id: string | null, problem: Problem): void {
    publisher.unanswered += 1;
    this.#publishes.answerInTurn(() => {
      publisher.unanswered -= 1;
      sendFrame(publisher.socket, formatError(id, problem));
    });
  }
}

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
