/**
 * An incremental reader of the frames a WebSocket server sends (RFC 6455 section 5.2): unmasked,
 * split and coalesced by TCP in any way.
 *
 * It builds nothing per frame: the payload goes to a sink as ranges of the receive buffer, which is
 * what lets one Node process count millions of frames per second.
 */

/** Takes the payload of data frames, in order, as ranges of a buffer that is reused afterwards. */
export interface PayloadSink {
  readonly messages: number;
  write(chunk: Uint8Array, start: number, end: number): void;
}

const OPCODE_CLOSE = 8;
const LONGEST_HEADER_BYTES = 10;

export class FrameReader {
  /** Data frames begun; a message may be several frames, a stream frame holds several messages. */
  frames = 0;
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
    if (this.#isData) this.frames += 1;
    // A control frame's payload is skipped like any other, but a close frame's code is worth having.
    else if (opcode === OPCODE_CLOSE) this.closeCode = closeCodeAt(chunk, at, end);
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
