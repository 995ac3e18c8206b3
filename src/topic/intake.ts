/**
 * Intake: what publishers send becomes publications, and what is in the log is acknowledged. Raw frames
 * are taken as they are; a frame of the stream is taken whole or refused, and a publish that is repeated
 * is acknowledged again and not taken again (PROTOCOL.md, 10.7 to 10.11).
 */
import { isLargerThan } from "../core/byte-size.ts";
import { parsePublish, type InvalidFrame, type PublishFrame } from "../core/client-frame.ts";
import {
  INVALID_FRAME,
  MESSAGE_TOO_LARGE,
  TOO_MANY_REQUESTS,
  type Close,
} from "../core/close-code.ts";
import { formatCursor, type Cursor } from "../core/cursor.ts";
import { formatAck, formatError } from "../core/hub-frame.ts";
import type { Message } from "../core/message.ts";
import type { Policy } from "../core/policy.ts";
import type { Problem } from "../core/problem.ts";
import {
  countMessages,
  isOverstructured,
  maxPublishUnits,
  readId,
} from "../core/unread-publish.ts";
import type { Log } from "./log.ts";
import type { RateVerdict } from "./message-rate.ts";
import type { Receipt } from "./publication.ts";
import type { Publisher } from "./publisher.ts";
import { sendFrame } from "../delivery/send-frame.ts";
import type { Sequencer } from "./sequencer.ts";

/** Seconds after which an overloaded topic may be tried again. */
const RETRY_AFTER_SECONDS = 1;

/** What became of a publish; shared with those who repeated it while it was under way. */
interface Outcome {
  /** Where it is in the log, `null` while it is not. */
  cursor: Cursor | null;
}

/** The intake of one topic. */
export class Intake {
  readonly #log: Log;
  readonly #sequencer: Sequencer;
  /** By id, what is published and not in the log yet. */
  readonly #underWay: Map<string, Outcome> = new Map();

  constructor(log: Log, sequencer: Sequencer) {
    this.#log = log;
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
      if (messagesPerSecond !== null && rate.isEmpty(messagesPerSecond, nowMs)) {
        const verdict = rateVerdict(publisher, countMessages(frame), policy, nowMs);
        if (verdict !== null) return this.#refuseRate(socket, readId(frame), policy, verdict);
      }
      const maxUnits = maxPublishUnits(maxMessageBytes);
      if (frame.length > maxUnits) {
        const detail = `The frame has more than ${maxUnits} characters, which no publish here needs`;
        sendFrame(socket, formatError(readId(frame), { slug: "message-too-large", detail }));
        return null;
      }
      if (isOverstructured(frame)) {
        const detail = "Expected less that is not in strings";
        return this.#refuseFrame(socket, { id: readId(frame), detail });
      }
    }
    const publish = parsePublish(frame);
    if (!publish.ok) return this.#refuseFrame(socket, publish.error);
    const { id, messages } = publish.value;
    const verdict = rateVerdict(publisher, messages.length, policy, nowMs);
    if (verdict !== null) return this.#refuseRate(socket, id, policy, verdict);
    this.#takePublish(socket, publish.value, maxMessageBytes);
    return null;
  }

  /** Tells a publisher what is wrong with a frame; what went before it is acknowledged before the socket closes. */
  #refuseFrame(socket: WebSocket, { id, detail }: InvalidFrame): Close {
    this.#sequencer.flush();
    sendFrame(socket, formatError(id, { slug: "invalid-frame", detail }));
    return INVALID_FRAME;
  }

  /** Tells a publisher that it is over its rate, and closes it when it was told often enough. */
  #refuseRate(
    socket: WebSocket,
    id: string | null,
    policy: Policy,
    verdict: RateRefusal,
  ): Close | null {
    const isIgnored = verdict.type === "ignored";
    if (isIgnored) this.#sequencer.flush();
    sendFrame(socket, formatError(id, tooManyMessages(policy, verdict)));
    return isIgnored ? TOO_MANY_REQUESTS : null;
  }

  #takePublish(socket: WebSocket, { id, messages }: PublishFrame, maxBytes: number): void {
    const outcome = this.#underWay.get(id) ?? this.#findOutcome(id);
    if (outcome !== null) {
      // It waits its turn all the same: acks come in the order of their frames.
      this.#sequencer.publish({ messages: [], receipt: this.#receipt(socket, id, outcome) });
      return;
    }
    const problem = this.#problemOf(messages, maxBytes);
    if (problem !== null) {
      sendFrame(socket, formatError(id, problem));
      return;
    }
    const pending: Outcome = { cursor: null };
    this.#underWay.set(id, pending);
    this.#sequencer.publish({ messages, receipt: this.#receipt(socket, id, pending) });
  }

  #receipt(socket: WebSocket, id: string, outcome: Outcome): Receipt {
    return {
      id,
      ack: (cursor) => {
        this.#underWay.delete(id);
        // Who repeats an id stands behind whoever published it.
        outcome.cursor ??= cursor;
        sendFrame(socket, formatAck(id, formatCursor(outcome.cursor)));
      },
    };
  }

  #findOutcome(id: string): Outcome | null {
    const cursor = this.#log.find(id);
    return cursor === null ? null : { cursor };
  }

  #problemOf(messages: readonly Message[], maxBytes: number): Problem | null {
    const tooLarge = messages.findIndex((message) => isLargerThan(message, maxBytes));
    if (tooLarge >= 0) {
      const detail = `"messages[${tooLarge}]" has more than ${maxBytes} bytes`;
      return { slug: "message-too-large", detail };
    }
    if (!this.#sequencer.isFull) return null;
    return {
      slug: "topic-overloaded",
      detail: "Nothing of it was published: send it again",
      retryAfter: RETRY_AFTER_SECONDS,
    };
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
