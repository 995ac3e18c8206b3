/**
 * The messages of the benchmark: a sequence number of ten digits, then filler up to the size asked.
 *
 * Every message has the same length, so payload bytes alone say how many arrived. A dialect that
 * wraps messages (MQTT, JSON) puts constant bytes around each; prefix + message + suffix is the unit
 * on the wire. Digits and lower-case letters only: JSON escapes none of them.
 */
export interface MessageFormat {
  /** What stands before each message inside the payload; empty for plain WebSocket messages. */
  readonly prefix: Uint8Array;
  readonly messageBytes: number;
  /** What stands after it. */
  readonly suffix: Uint8Array;
  readonly unitBytes: number;
}

export const SEQUENCE_DIGITS = 10;

const NOTHING: Uint8Array = new Uint8Array();

export function createFormat(
  messageBytes: number,
  { prefix = NOTHING, suffix = NOTHING }: { prefix?: Uint8Array; suffix?: Uint8Array } = {},
): MessageFormat {
  const unitBytes = prefix.length + messageBytes + suffix.length;
  return { prefix, messageBytes, suffix, unitBytes };
}

/** One unit with sequence number 0; only the digits differ from message to message. */
export function unitTemplate(format: MessageFormat): Uint8Array {
  const { prefix, messageBytes, suffix } = format;
  const unit = new Uint8Array(format.unitBytes);
  unit.set(prefix);
  for (let index = 0; index < messageBytes; index++) {
    unit[prefix.length + index] = 0x61 + (index % 26);
  }
  unit.set(suffix, prefix.length + messageBytes);
  writeSequence(unit, prefix.length, 0);
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
