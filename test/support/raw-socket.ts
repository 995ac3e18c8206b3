/**
 * A WebSocket by hand over TCP, for what a library would hide: fragments, pings, silence, and the bytes
 * of a refusal. Writes any frame, reads frames as they come (RFC 6455, section 5.2).
 */
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { connect, type Socket } from "node:net";

/** A frame as the hub sent it. */
export interface Frame {
  readonly fin: boolean;
  readonly opcode: number;
  readonly payload: Buffer;
}

/** Opcodes (RFC 6455, section 5.2). */
export const OPCODE = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

/** A raw connection: bytes in, bytes out. */
export class RawSocket {
  readonly socket: Socket;
  #buffer: Buffer = Buffer.alloc(0);

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on("data", (chunk: Buffer) => {
      this.#buffer = Buffer.concat([this.#buffer, chunk]);
      socket.emit("progress");
    });
    socket.on("close", () => socket.emit("progress"));
    // A reset ends in a close, too.
    socket.on("error", () => {});
  }

  /** Connects to the host of an http: or ws: URL, without sending anything. */
  static async to(url: string): Promise<RawSocket> {
    const { hostname, port } = new URL(url);
    const raw = new RawSocket(connect(Number(port || 80), hostname));
    await once(raw.socket, "connect");
    return raw;
  }

  /** Opens a WebSocket; the URL's path is sent as it is. */
  static async open(url: string, protocol: string | null = null): Promise<RawSocket> {
    const raw = await RawSocket.to(url);
    const { host } = new URL(url);
    const path = url.slice(url.indexOf(host) + host.length);
    const headers = protocol === null ? [] : [`Sec-WebSocket-Protocol: ${protocol}`];
    raw.write(handshake("GET", path, host, headers));
    const head = await raw.head();
    if (!head.startsWith("HTTP/1.1 101")) throw new Error(`Refused: ${head}`);
    return raw;
  }

  write(data: string | Buffer): void {
    this.socket.write(data);
  }

  /** The head of an HTTP response, up to the empty line. */
  async head(): Promise<string> {
    let end = this.#buffer.indexOf("\r\n\r\n");
    while (end < 0) {
      await this.#progress();
      end = this.#buffer.indexOf("\r\n\r\n");
    }
    const head = this.#buffer.subarray(0, end).toString();
    this.#buffer = this.#buffer.subarray(end + 4);
    return head;
  }

  /** Sends one frame, masked as clients must. */
  send(opcode: number, payload: string | Buffer, options: { fin?: boolean } = {}): void {
    const data = Buffer.from(payload);
    const mask = randomBytes(4);
    const masked = data.map((byte, i) => byte ^ (mask[i % 4] ?? 0));
    const first = ((options.fin ?? true) ? 0x80 : 0) | opcode;
    this.write(Buffer.concat([Buffer.from([first, ...lengthBytes(data.length)]), mask, masked]));
  }

  /** The next frame; waits for it. */
  async next(): Promise<Frame> {
    for (;;) {
      const frame = this.#takeFrame();
      if (frame !== null) return frame;
      await this.#progress();
    }
  }

  destroy(): void {
    this.socket.destroy();
  }

  async #progress(): Promise<void> {
    if (this.socket.destroyed) throw new Error("The connection is closed");
    await once(this.socket, "progress");
  }

  #takeFrame(): Frame | null {
    const [first, second] = this.#buffer;
    if (first === undefined || second === undefined) return null;
    let header = 2;
    let length = second & 0x7f;
    if (length === 126) {
      if (this.#buffer.length < 4) return null;
      length = this.#buffer.readUInt16BE(2);
      header = 4;
    } else if (length === 127) {
      if (this.#buffer.length < 10) return null;
      length = Number(this.#buffer.readBigUInt64BE(2));
      header = 10;
    }
    if (this.#buffer.length < header + length) return null;
    const payload = this.#buffer.subarray(header, header + length);
    this.#buffer = this.#buffer.subarray(header + length);
    return { fin: (first & 0x80) !== 0, opcode: first & 0x0f, payload };
  }
}

/** The bytes of an opening handshake, for any method and any path. */
export function handshake(
  method: string,
  path: string,
  host: string,
  headers: readonly string[] = [],
): string {
  return [
    `${method} ${path} HTTP/1.1`,
    `Host: ${host}`,
    "Upgrade: websocket",
    "Connection: Upgrade",
    `Sec-WebSocket-Key: ${randomBytes(16).toString("base64")}`,
    "Sec-WebSocket-Version: 13",
    ...headers,
    "\r\n",
  ].join("\r\n");
}

function lengthBytes(length: number): number[] {
  if (length < 126) return [0x80 | length];
  if (length < 65_536) return [0x80 | 126, length >> 8, length & 0xff];
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(length));
  return [0x80 | 127, ...bytes];
}
