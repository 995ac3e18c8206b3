/**
 * Frames of a publisher of `wspubsub.v1`: `{"type":"publish","id":"…","messages":["…","…"]}`, masked.
 *
 * A frame's id is the sequence number of its first message: unique on a topic, and an ack tells which
 * messages it is for. All digits have a fixed place, so a frame is a copy of a template plus digits.
 */
import { MASK, maskedFrame } from "./client-frame.ts";
import type { Framer } from "./dialect.ts";
import {
  type MessageFormat,
  SEQUENCE_DIGITS,
  unitTemplate,
  writeSequence,
} from "./message-format.ts";

const OPCODE_TEXT = 1;
const BEFORE_ID = '{"type":"publish","id":"';
const BEFORE_MESSAGES = '","messages":[';

/** As many messages as a publisher that has more to say than fits a frame puts into one. */
export const MOST_MESSAGES_PER_FRAME = 100;

interface Template {
  readonly frame: Buffer;
  readonly payloadAt: number;
}

export class StreamFramer implements Framer {
  readonly #format: MessageFormat;
  readonly #mostPerFrame: number;
  /** By number of messages. */
  readonly #templates = new Map<number, Template>();
  readonly #digits = new Uint8Array(SEQUENCE_DIGITS);

  constructor(format: MessageFormat, mostPerFrame: number = MOST_MESSAGES_PER_FRAME) {
    this.#format = format;
    this.#mostPerFrame = mostPerFrame;
  }

  build(firstSequence: number, count: number): Buffer {
    const frames: Buffer[] = [];
    for (let done = 0; done < count; done += this.#mostPerFrame) {
      const messages = Math.min(this.#mostPerFrame, count - done);
      frames.push(this.#buildFrame(firstSequence + done, messages));
    }
    const [first] = frames;
    return frames.length === 1 && first !== undefined ? first : Buffer.concat(frames);
  }

  #buildFrame(firstSequence: number, count: number): Buffer {
    const template = this.#template(count);
    const frame = Buffer.from(template.frame);
    const { payloadAt } = template;
    this.#patch(frame, payloadAt, BEFORE_ID.length, firstSequence);
    const { prefix, unitBytes } = this.#format;
    let at = BEFORE_ID.length + SEQUENCE_DIGITS + BEFORE_MESSAGES.length + prefix.length;
    for (let index = 0; index < count; index++, at += unitBytes) {
      this.#patch(frame, payloadAt, at, firstSequence + index);
    }
    return frame;
  }

  /** Writes a sequence number, masked, at a place of the payload. */
  #patch(frame: Buffer, payloadAt: number, at: number, sequence: number): void {
    writeSequence(this.#digits, 0, sequence);
    for (let digit = 0; digit < SEQUENCE_DIGITS; digit++) {
      frame[payloadAt + at + digit] = (this.#digits[digit] ?? 0) ^ (MASK[(at + digit) & 3] ?? 0);
    }
  }

  #template(count: number): Template {
    const known = this.#templates.get(count);
    if (known !== undefined) return known;
    const unit = Buffer.from(unitTemplate(this.#format)).toString("latin1");
    // Each unit ends in a comma, the last one's gives way to the bracket.
    const messages = unit.repeat(count).slice(0, -1);
    const id = "0".repeat(SEQUENCE_DIGITS);
    const payload = Buffer.from(`${BEFORE_ID}${id}${BEFORE_MESSAGES}${messages}]}`);
    const frame = maskedFrame(OPCODE_TEXT, payload);
    const template = { frame, payloadAt: frame.length - payload.length };
    this.#templates.set(count, template);
    return template;
  }
}
