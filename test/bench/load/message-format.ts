/**
 * The messages of the benchmark: a sequence number of ten digits, then filler up to the size asked.
 *
 * Every message has the same length, so payload bytes alone say how many arrived. A dialect that
 * wraps messages (MQTT) puts a constant prefix before each; prefix + message is the unit on the wire.
 */
export interface MessageFormat {
  /** What stands before each message inside the payload; empty for plain WebSocket messages. */
  readonly prefix: Uint8Array;
  readonly messageBytes: number;
  readonly unitBytes: number;
}

export const SEQUENCE_DIGITS = 10;

export function createFormat(messageBytes: number, prefix: Uint8Array): MessageFormat {
  return { prefix, messageBytes, unitBytes: prefix.length + messageBytes };
}

/** One unit with sequence number 0; only the digits differ from message to message. */
export function unitTemplate(format: MessageFormat): Uint8Array {
  const unit = new Uint8Array(format.unitBytes);
  unit.set(format.prefix);
  for (let at = format.prefix.length; at < unit.length; at++) {
    unit[at] = 0x61 + ((at - format.prefix.length) % 26);
  }
  writeSequence(unit, format.prefix.length, 0);
  return unit;
}

export function writeSequence(target: Uint8Array, at: number, sequence: number): void {
  let rest = sequence;
  for (let index = SEQUENCE_DIGITS - 1; index >= 0; index--) {
    target[at + index] = 0x30 + (rest % 10);
    rest = Math.floor(rest / 10);
  }
}

/** NaN or a wrong number when the bytes are not digits; the reader compares with what it expects. */
export function readSequence(source: Uint8Array, at: number): number {
  let sequence = 0;
  for (let index = 0; index < SEQUENCE_DIGITS; index++) {
    sequence = sequence * 10 + ((source[at + index] ?? NaN) - 0x30);
  }
  return sequence;
}
