/**
 * Frames from a client: masked (RFC 6455 section 5.3).
 *
 * One key for all frames: masking protects proxies, which a benchmark on one machine has none of, and
 * with a constant key a message is a copy of a template plus ten digits.
 */
import type { Framer } from "./dialect.ts";
import {
  type MessageFormat,
  SEQUENCE_DIGITS,
  unitTemplate,
  writeSequence,
} from "./message-format.ts";

export const MASK: Uint8Array = Uint8Array.of(0x37, 0xfa, 0x21, 0x3d);

/** Builds one masked frame around a payload. */
export function maskedFrame(opcode: number, payload: Uint8Array): Buffer {
  const header = frameHeader(opcode, payload.length);
  const frame = Buffer.alloc(header.length + payload.length);
  frame.set(header);
  for (const [index, byte] of payload.entries()) {
    frame[header.length + index] = byte ^ (MASK[index & 3] ?? 0);
  }
  return frame;
}

/** Builds a frame per message. */
export class MessageFramer implements Framer {
  readonly #template: Buffer;
  readonly #digitsAt: number;
  readonly #digitsInUnit: number;
  readonly #digits = new Uint8Array(SEQUENCE_DIGITS);

  constructor(opcode: number, format: MessageFormat) {
    this.#template = maskedFrame(opcode, unitTemplate(format));
    this.#digitsInUnit = format.prefix.length;
    this.#digitsAt = this.#template.length - format.unitBytes + format.prefix.length;
  }

  build(firstSequence: number, count: number): Buffer {
    const size = this.#template.length;
    const frames = Buffer.allocUnsafe(size * count);
    for (let index = 0; index < count; index++) {
      const start = index * size;
      frames.set(this.#template, start);
      writeSequence(this.#digits, 0, firstSequence + index);
      for (let digit = 0; digit < SEQUENCE_DIGITS; digit++) {
        frames[start + this.#digitsAt + digit] =
          (this.#digits[digit] ?? 0) ^ (MASK[(this.#digitsInUnit + digit) & 3] ?? 0);
      }
    }
    return frames;
  }
}

function frameHeader(opcode: number, length: number): number[] {
  const first = 0x80 | opcode;
  if (length < 126) return [first, 0x80 | length, ...MASK];
  if (length < 65_536) return [first, 0x80 | 126, length >> 8, length & 0xff, ...MASK];
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(length));
  return [first, 0x80 | 127, ...bytes, ...MASK];
}
