/**
 * Frames of a publisher of `wspubsub.v1`: `{"type":"publish","id":"…","messages":["…","…"]}`, masked.
 *
 * A frame's id is the sequence number of its first message: unique on a topic, and an ack tells which
 * messages it is for. All digits have a fixed place, so a frame is a copy of a template plus digits.
 */
import { formatPublish } from "../../../src/core/client-frame.ts";
import { MASK, maskedFrame } from "./client-frame.ts";
import type { Framer } from "./dialect.ts";
import {
  type MessageFormat,
  SEQUENCE_DIGITS,
  unitTemplate,
  writeSequence,
} from "./message-format.ts";

const OPCODE_TEXT = 1;
/** Stands for a sequence number in a template. */
const NO_SEQUENCE = "0".repeat(SEQUENCE_DIGITS);

/** As many messages as a publisher that has more to say than fits a frame puts into one. */
export const MOST_MESSAGES_PER_FRAME = 100;

interface Template {
  readonly frame: Buffer;
  readonly payloadAt: number;
  /** Where its id stands in the payload, and where its first unit does. */
  readonly idAt: number;
  readonly unitsAt: number;
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
    const { payloadAt, idAt, unitsAt } = template;
    this.#patch(frame, payloadAt, idAt, firstSequence);
    const { prefix, unitBytes } = this.#format;
    let at = unitsAt + prefix.length;
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
    const { prefix, messageBytes } = this.#format;
    const unit = Buffer.from(unitTemplate(this.#format)).toString("latin1");
    const message = unit.slice(prefix.length, prefix.length + messageBytes);
    const messages = Array.from({ length: count }, () => message);
    const payload = Buffer.from(formatPublish({ id: NO_SEQUENCE, messages }));
    const frame = maskedFrame(OPCODE_TEXT, payload);
    const template: Template = {
      frame,
      payloadAt: frame.length - payload.length,
      idAt: payload.indexOf(NO_SEQUENCE),
      unitsAt: payload.indexOf("[") + 1,
    };
    this.#templates.set(count, template);
    return template;
  }
}
