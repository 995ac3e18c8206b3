/**
 * The bytes of Postgres's wire protocol, version 3: frames of a client, and the few answers that are not
 * Postgres's own. Nothing is read beyond what a frame may have, and no frame is taken for more than it says.
 */

/** Bytes of a message or a batch; as much as a request over HTTP may have. */
export const MAX_MESSAGE_BYTES = 10_000_000;

/** Bytes; Postgres's own MAX_STARTUP_PACKET_LENGTH. */
const MAX_STARTUP_BYTES = 10_000;

const PROTOCOL_MAJOR = 3;
const CODES = { ssl: 80_877_103, gss: 80_877_104, cancel: 80_877_102 };

/** What a connection begins with. */
export type Opening =
  | { readonly type: "encryption" }
  | { readonly type: "cancel" }
  | {
      readonly type: "startup";
      readonly parameters: ReadonlyMap<string, string>;
      /** What to say first to a client that wants more than version 3.0 has. */
      readonly refused: Buffer | null;
    };

/** The client broke the protocol, and what follows cannot be read. */
export class ProtocolError extends Error {
  override readonly name = "ProtocolError";
}

/** Reads a client's frames; each read is `null` once the client has gone. */
export class FrameReader {
  readonly #chunks: AsyncIterator<unknown>;
  #rest: Buffer = Buffer.alloc(0);

  constructor(bytes: AsyncIterable<unknown>) {
    this.#chunks = bytes[Symbol.asyncIterator]();
  }

  /** The next frame without a type; throws a ProtocolError. */
  async opening(): Promise<Opening | null> {
    const length = (await this.#take(4))?.readUInt32BE(0);
    if (length === undefined) return null;
    if (length < 8 || length > MAX_STARTUP_BYTES) {
      throw new ProtocolError("invalid length of startup packet");
    }
    const body = await this.#take(length - 4);
    if (body === null) return null;
    const code = body.readUInt32BE(0);
    if (code === CODES.ssl || code === CODES.gss) return { type: "encryption" };
    if (code === CODES.cancel) return { type: "cancel" };
    if (code >>> 16 !== PROTOCOL_MAJOR) {
      throw new ProtocolError(`unsupported frontend protocol ${code >>> 16}.${code & 0xffff}`);
    }
    // Name, value, name, value, … and an empty name.
    const words = body.toString("utf8", 4).split("\0");
    const parameters = new Map<string, string>();
    const extensions: string[] = [];
    for (let i = 0; words[i]; i += 2) {
      const name = words[i] ?? "";
      if (name.startsWith("_pq_.")) extensions.push(name);
      else parameters.set(name, words[i + 1] ?? "");
    }
    const isNewer = (code & 0xffff) > 0 || extensions.length > 0;
    return { type: "startup", parameters, refused: isNewer ? negotiate(extensions) : null };
  }

  /** The next message as it came, with type and length; throws a ProtocolError. */
  async message(): Promise<Buffer | null> {
    const head = await this.#take(5);
    if (head === null) return null;
    const length = head.readUInt32BE(1);
    if (length < 4 || length > MAX_MESSAGE_BYTES) {
      throw new ProtocolError(`invalid message length: at most ${MAX_MESSAGE_BYTES} bytes`);
    }
    const body = await this.#take(length - 4);
    return body && Buffer.concat([head, body]);
  }

  async #take(size: number): Promise<Buffer | null> {
    const parts = [this.#rest];
    let have = this.#rest.length;
    while (have < size) {
      const next = await this.#chunks.next();
      if (next.done === true) return null;
      if (!(next.value instanceof Buffer)) throw new Error("Expected bytes");
      parts.push(next.value);
      have += next.value.length;
    }
    const all = parts.length === 1 ? this.#rest : Buffer.concat(parts);
    this.#rest = all.subarray(size);
    return all.subarray(0, size);
  }
}

/** A message of either side. */
export function frame(type: string, body: Buffer | string): Buffer {
  const bytes = Buffer.from(body);
  const head = Buffer.alloc(5);
  head.write(type, "latin1");
  head.writeUInt32BE(bytes.length + 4, 1);
  return Buffer.concat([head, bytes]);
}

/** What begins a connection to Postgres itself. */
export function startupFrame(user: string, database: string): Buffer {
  const body = Buffer.from(`user\0${user}\0database\0${database}\0\0`);
  const head = Buffer.alloc(8);
  head.writeUInt32BE(body.length + 8, 0);
  head.writeUInt16BE(PROTOCOL_MAJOR, 4);
  return Buffer.concat([head, body]);
}

/** An ErrorResponse that ends the connection. */
export function fatal(code: string, message: string, hint?: string): Buffer {
  const fields = ["SFATAL", "VFATAL", `C${code}`, `M${message}`];
  if (hint !== undefined) fields.push(`H${hint}`);
  return frame("E", `${fields.join("\0")}\0\0`);
}

/**
 * A message with a prefix before the name of its prepared statement, so that those of two clients are not
 * confused. The unnamed statement stays unnamed.
 */
export function prefixStatement(message: Buffer, prefix: string): Buffer {
  const at = nameOffset(message);
  if (at === null || (message[at] ?? 0) === 0) return message;
  const body = [message.subarray(5, at), Buffer.from(prefix), message.subarray(at)];
  return frame(String.fromCharCode(message[0] ?? 0), Buffer.concat(body));
}

/** A NegotiateProtocolVersion: 3.0, without these extensions. */
function negotiate(extensions: readonly string[]): Buffer {
  const head = Buffer.alloc(8);
  head.writeUInt16BE(PROTOCOL_MAJOR, 0);
  head.writeUInt32BE(extensions.length, 4);
  const names = extensions.map((name) => `${name}\0`).join("");
  return frame("v", Buffer.concat([head, Buffer.from(names)]));
}

function nameOffset(message: Buffer): number | null {
  switch (String.fromCharCode(message[0] ?? 0)) {
    case "P":
      return 5;
    case "B":
      // After the portal's name.
      return message.indexOf(0, 5) + 1 || null;
    case "C":
    case "D":
      return message[5] === 0x53 /* S */ ? 6 : null;
    default:
      return null;
  }
}
