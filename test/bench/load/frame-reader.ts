/**
 * An incremental reader of the frames a WebSocket server sends (RFC 6455 section 5.2): unmasked,
 * split and coalesced by TCP in any way.
 *
 * It builds nothing per frame: the payload goes to a sink as ranges of the receive buffer, which is
 * what lets one Node process count millions of messages per second.
 */

/** Takes the payload of data frames, in order, as ranges of a buffer that is reused afterwards. */
export interface PayloadSink {
  /** Whole messages so far. */
  readonly messages: number;
  /** Says that what the server sends first has come; absent where it sends nothing by itself. */
  readonly isReady?: boolean;
  /** What was wrong with the payload, in words; undefined while all is well. */
  readonly fault?: string | undefined;
  /** Where to go on after a cut, in dialects that tell. */
  readonly cursor?: string | undefined;
  beginFrame?(payloadBytes: number): void;
  write(chunk: Uint8Array, start: number, end: number): void;
  endFrame?(): void;
}

const OPCODE_CLOSE = 8;
const LONGEST_HEADER_BYTES = 10;

export class FrameReader {
  /** The status code of a close frame, 1005 when it had none. */
  closeCode: number | undefined;
  readonly #sink: PayloadSink;
  readonly #header = new Uint8Array(LONGEST_HEADER_BYTES);
  #headerLength = 0;
  #payloadLeft = 0;
  #isData = false;

  constructor(sink: PayloadSink) {
    this.#sink = sink;
  }

  read(chunk: Uint8Array, start: number, end: number): void {
    let at = start;
    while (at < end) {
      if (this.#payloadLeft === 0) {
        at = this.#readHeader(chunk, at, end);
        continue;
      }
      const stop = Math.min(end, at + this.#payloadLeft);
      if (this.#isData) this.#sink.write(chunk, at, stop);
      this.#payloadLeft -= stop - at;
      at = stop;
      if (this.#isData && this.#payloadLeft === 0) this.#sink.endFrame?.();
    }
  }

  /** Takes header bytes until the header is whole; returns where the reading goes on. */
  #readHeader(chunk: Uint8Array, start: number, end: number): number {
    const header = this.#header;
    let at = start;
    let have = this.#headerLength;
    let need = have < 2 ? 2 : headerBytes(header[1] ?? 0);
    while (have < need && at < end) {
      header[have++] = chunk[at++] ?? 0;
      if (have === 2) need = headerBytes(header[1] ?? 0);
    }
    if (have < need) {
      this.#headerLength = have;
      return at;
    }
    this.#headerLength = 0;
    const opcode = (header[0] ?? 0) & 0x0f;
    this.#isData = opcode < OPCODE_CLOSE;
    this.#payloadLeft = payloadBytes(header);
    if (this.#isData) {
      this.#sink.beginFrame?.(this.#payloadLeft);
      if (this.#payloadLeft === 0) this.#sink.endFrame?.();
    } else if (opcode === OPCODE_CLOSE) {
      // A control frame's payload is skipped like any other, but a close frame's code is worth having.
      this.closeCode = closeCodeAt(chunk, at, end);
    }
    return at;
  }
}

function headerBytes(lengthByte: number): number {
  const length = lengthByte & 0x7f;
  if (length < 126) return 2;
  return length === 126 ? 4 : LONGEST_HEADER_BYTES;
}

function payloadBytes(header: Uint8Array): number {
  const length = (header[1] ?? 0) & 0x7f;
  if (length < 126) return length;
  const bytes = length === 126 ? 2 : 8;
  let total = 0;
  for (let index = 0; index < bytes; index++) total = total * 256 + (header[2 + index] ?? 0);
  return total;
}

/** The code, when it lies in this chunk; a code split by TCP is reported as 1005. */
function closeCodeAt(chunk: Uint8Array, at: number, end: number): number {
  return end - at < 2 ? 1005 : (chunk[at] ?? 0) * 256 + (chunk[at + 1] ?? 0);
}
