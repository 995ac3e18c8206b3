/**
 * Intake: what publishers send becomes publications, and what is in the log is acknowledged. Raw frames
 * are taken as they are; a frame of the stream is taken whole or refused, and a publish that is repeated
 * is acknowledged again and not taken again (PROTOCOL.md, 10.7 to 10.11).
 */
import {
  INVALID_FRAME,
  MESSAGE_TOO_LARGE,
  TOO_MANY_REQUESTS,
  type Close,
} from "../core/close-code.ts";
import { formatCursor } from "../core/cursor.ts";
import type { Message } from "../core/message.ts";
import type { Policy } from "../core/policy.ts";
import type { Problem } from "../core/problem.ts";
import {
  formatAck,
  formatError,
  parsePublish,
  type Protocol,
  type Publish,
} from "../core/stream.ts";
import type { Batch } from "./batch.ts";
import type { FanOut } from "./fan-out.ts";
import type { Log } from "./log.ts";
import type { MessageRate, RateVerdict } from "./message-rate.ts";
import { isLargerThan } from "./message-size.ts";
import type { Outcome, Publication } from "./publication.ts";
import { sendFrame } from "./send-frame.ts";

/** Seconds after which an overloaded topic may be tried again. */
const RETRY_AFTER_SECONDS = 1;

/** Who sends a frame. */
export interface Sender {
  readonly socket: WebSocket;
  readonly protocol: Protocol;
  readonly rate: MessageRate;
}

/** The intake of one topic. */
export class Intake {
  readonly #log: Log;
  readonly #fanOut: FanOut;
  /** By id, what is published and not in the log yet. */
  readonly #underWay: Map<string, Outcome> = new Map();

  constructor(log: Log, fanOut: FanOut) {
    this.#log = log;
    this.#fanOut = fanOut;
  }

  /** Takes a frame; returns why its publisher must be closed, `null` when it may go on. */
  take(sender: Sender, frame: Message, policy: Policy, nowMs: number): Close | null {
    const { socket, protocol, rate } = sender;
    if (protocol === "raw") {
      if (isLargerThan(frame, policy.maxMessageBytes)) return MESSAGE_TOO_LARGE;
      // There is no other way to tell it.
      if (rateVerdict(rate, 1, policy, nowMs) !== null) return TOO_MANY_REQUESTS;
      this.#fanOut.publish({ messages: [frame], receipt: null });
      return null;
    }
    const publish = parsePublish(frame);
    if (!publish.ok) {
      // What went before it is acknowledged before the socket closes.
      this.#fanOut.drain();
      const { id, detail } = publish.error;
      sendFrame(socket, formatError(id, { slug: "invalid-frame", detail }));
      return INVALID_FRAME;
    }
    const verdict = rateVerdict(rate, publish.value.messages.length, policy, nowMs);
    if (verdict === null) {
      this.#takePublish(socket, publish.value, policy.maxMessageBytes);
      return null;
    }
    const isIgnored = verdict.type === "ignored";
    if (isIgnored) this.#fanOut.drain();
    sendFrame(socket, formatError(publish.value.id, tooManyMessages(policy, verdict)));
    return isIgnored ? TOO_MANY_REQUESTS : null;
  }

  /** Puts publications into the log and acknowledges them; `null` when they have no message. */
  append(publications: readonly Publication[]): Batch | null {
    const batch = this.#log.append(publications, Date.now());
    const { epoch, offset: head } = this.#log.head;
    let offset = batch === null ? head : batch.place.first - 1;
    for (const { messages, receipt } of publications) {
      offset += messages.length;
      if (receipt === null) continue;
      const { id, socket, outcome } = receipt;
      this.#underWay.delete(id);
      // Who repeats an id stands behind whoever published it.
      outcome.cursor ??= { epoch, offset };
      sendFrame(socket, formatAck(id, formatCursor(outcome.cursor)));
    }
    return batch;
  }

  #takePublish(socket: WebSocket, { id, messages }: Publish, maxBytes: number): void {
    const outcome = this.#underWay.get(id) ?? this.#findOutcome(id);
    if (outcome !== null) {
      // It waits its turn all the same: acks come in the order of their frames.
      this.#fanOut.publish({ messages: [], receipt: { id, socket, outcome } });
      return;
    }
    const problem = this.#problemOf(messages, maxBytes);
    if (problem !== null) {
      sendFrame(socket, formatError(id, problem));
      return;
    }
    const pending: Outcome = { cursor: null };
    this.#underWay.set(id, pending);
    this.#fanOut.publish({ messages, receipt: { id, socket, outcome: pending } });
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
    if (!this.#fanOut.isFull) return null;
    return {
      slug: "topic-overloaded",
      detail: "Nothing of it was published: send it again",
      retryAfter: RETRY_AFTER_SECONDS,
    };
  }
}

/** `null` while a publisher keeps to its domain's rate. */
function rateVerdict(
  rate: MessageRate,
  count: number,
  { messagesPerSecond }: Policy,
  nowMs: number,
): Exclude<RateVerdict, { type: "within" }> | null {
  if (messagesPerSecond === null) return null;
  const verdict = rate.take(count, messagesPerSecond, nowMs);
  return verdict.type === "within" ? null : verdict;
}

function tooManyMessages(
  { messagesPerSecond }: Policy,
  verdict: Exclude<RateVerdict, { type: "within" }>,
): Problem {
  const detail = `Nothing of it was published: this domain takes ${messagesPerSecond} messages a second of a publisher`;
  return verdict.type === "over"
    ? { slug: "too-many-requests", detail, retryAfter: verdict.retryAfterSeconds }
    : { slug: "too-many-requests", detail };
}
