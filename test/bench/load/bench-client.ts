/**
 * One WebSocket client on a bare TCP socket: a handshake by hand, then frames counted where they land.
 *
 * All clients of the process receive into one shared buffer, so receiving allocates nothing. The
 * server's Sec-WebSocket-Accept is not verified: this measures servers, it does not trust them.
 */
import { type Socket, connect } from "node:net";

import type { Dialect, Role } from "./dialect.ts";
import { FrameReader, type PayloadSink } from "./frame-reader.ts";

export interface ClientOptions {
  readonly port: number;
  readonly path: string;
  readonly dialect: Dialect;
  readonly role: Role;
  readonly clientId: number;
  /** Where the payload of received frames goes. */
  readonly sink: PayloadSink;
}

const sharedBuffer = Buffer.alloc(256 * 1024);
const HANDSHAKE_TIMEOUT_MS = 30_000;
const END_OF_HEAD = "\r\n\r\n";

export class BenchClient {
  /** Called after each chunk that carried frames. */
  onData: (() => void) | undefined;
  readonly #options: ClientOptions;
  readonly #reader: FrameReader;
  readonly #socket: Socket;
  readonly #ready: Promise<void>;
  #head: string | undefined = "";
  #closedBecause: string | undefined;
  #settle: (error?: Error) => void = () => undefined;

  constructor(options: ClientOptions) {
    this.#options = options;
    const { role, sink } = options;
    this.#reader = new FrameReader(sink);
    this.#ready = new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#settle(new Error("the handshake timed out"));
      }, HANDSHAKE_TIMEOUT_MS);
      this.#settle = (error) => {
        clearTimeout(timer);
        if (error === undefined) resolve();
        else reject(new Error(`Cannot connect a ${role}: ${error.message}`));
      };
    });
    this.#socket = connect({
      port: options.port,
      host: "127.0.0.1",
      noDelay: true,
      onread: {
        buffer: sharedBuffer,
        callback: (bytes) => {
          this.#receive(bytes);
          return true;
        },
      },
    });
    this.#socket.on("connect", () => this.#socket.write(this.#request()));
    this.#socket.on("error", (error) => {
      this.#close(error.message);
    });
    this.#socket.on("close", () => {
      this.#close("the server closed the connection");
    });
  }

  /** Settles when the handshake has been answered and the sink has what a server sends first. */
  ready(): Promise<void> {
    return this.#ready;
  }

  get messages(): number {
    return this.#options.sink.messages;
  }

  /** The code of the server's Close frame; undefined while there was none. */
  get closeCode(): number | undefined {
    return this.#reader.closeCode;
  }

  /** Why the connection ended before it was told to, or what came wrong; undefined while it is well. */
  get fault(): string | undefined {
    const { closeCode } = this.#reader;
    if (closeCode !== undefined) return `the server closed with code ${closeCode}`;
    return this.#options.sink.fault ?? this.#closedBecause;
  }

  send(frames: Uint8Array): void {
    this.#socket.write(frames);
  }

  /** Resets the connection: thousands of sockets in TIME_WAIT would use up the local ports. */
  destroy(): void {
    this.#closedBecause ??= "the benchmark ended";
    this.#socket.resetAndDestroy();
  }

  #request(): string {
    const { path, port, dialect, role } = this.#options;
    const subprotocol = dialect.subprotocol(role);
    const lines = [
      `GET ${path} HTTP/1.1`,
      `Host: 127.0.0.1:${port}`,
      "Connection: Upgrade",
      "Upgrade: websocket",
      "Sec-WebSocket-Version: 13",
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    ];
    if (subprotocol !== undefined) lines.push(`Sec-WebSocket-Protocol: ${subprotocol}`);
    return lines.join("\r\n") + END_OF_HEAD;
  }

  #receive(bytes: number): void {
    let start = 0;
    if (this.#head !== undefined) {
      start = this.#receiveHead(bytes);
      if (start < 0) return;
    }
    this.#reader.read(sharedBuffer, start, bytes);
    if (this.#options.sink.isReady ?? true) this.#settle();
    this.onData?.();
  }

  /** Collects the response's head; returns where frames begin in the buffer, -1 when not yet. */
  #receiveHead(bytes: number): number {
    const before = this.#head ?? "";
    const head = before + sharedBuffer.toString("latin1", 0, bytes);
    const end = head.indexOf(END_OF_HEAD);
    if (end < 0) {
      this.#head = head;
      return -1;
    }
    this.#head = undefined;
    if (!head.startsWith("HTTP/1.1 101 ")) {
      this.#settle(new Error(`the server answered ${head.replaceAll(/\s+/g, " ").slice(0, 400)}`));
      return -1;
    }
    const { dialect, role, clientId } = this.#options;
    const greeting = dialect.greeting(role, clientId);
    if (greeting !== undefined) this.send(greeting);
    return end + END_OF_HEAD.length - before.length;
  }

  #close(reason: string): void {
    this.#closedBecause ??= reason;
    this.#settle(new Error(reason));
  }
}
