/**
 * One WebSocket client on a bare TCP socket: a handshake by hand, then frames counted where they land.
 *
 * All clients of the process receive into one shared buffer, so receiving allocates nothing. The
 * server's Sec-WebSocket-Accept is not verified: this measures servers, it does not trust them.
 */
import { type Socket, connect } from "node:net";

import { maskedFrame } from "./client-frame.ts";
import type { Dialect } from "./dialect.ts";
import { FrameReader, type PayloadSink } from "./frame-reader.ts";
import { SkippingSink } from "./payload-sinks.ts";

export interface ClientOptions {
  readonly port: number;
  readonly path: string;
  readonly dialect: Dialect;
  readonly role: "publisher" | "subscriber";
  readonly clientId: number;
  /** Where the payload of received messages goes; absent = it is thrown away. */
  readonly sink?: PayloadSink;
}

const sharedBuffer = Buffer.alloc(256 * 1024);
const HANDSHAKE_TIMEOUT_MS = 30_000;
const END_OF_HEAD = "\r\n\r\n";

const ignoringSink: PayloadSink = {
  messages: 0,
  write() {
    // What a server sends to a publisher (nchan's receipts) is read so that it does not pile up.
  },
};

export class BenchClient {
  /** Called after each chunk that carried frames. */
  onData: (() => void) | undefined;
  readonly #options: ClientOptions;
  readonly #sink: SkippingSink;
  readonly #reader: FrameReader;
  readonly #socket: Socket;
  readonly #ready: Promise<void>;
  #head: string | undefined = "";
  #closedBecause: string | undefined;
  #settle: (error?: Error) => void = () => undefined;

  constructor(options: ClientOptions) {
    this.#options = options;
    const { dialect, role, sink } = options;
    this.#sink = new SkippingSink(sink ?? ignoringSink, dialect.greetingAnswerBytes(role));
    this.#reader = new FrameReader(this.#sink);
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

  /** Settles when the handshake, and the dialect's greeting, have been answered. */
  ready(): Promise<void> {
    return this.#ready;
  }

  get messages(): number {
    return this.#sink.messages;
  }

  /** Why the connection ended before it was told to; undefined while it is well. */
  get fault(): string | undefined {
    const { closeCode } = this.#reader;
    if (closeCode !== undefined) return `the server closed with code ${closeCode}`;
    return this.#closedBecause;
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
    const { path, port, dialect } = this.#options;
    const lines = [
      `GET ${path} HTTP/1.1`,
      `Host: 127.0.0.1:${port}`,
      "Connection: Upgrade",
      "Upgrade: websocket",
      "Sec-WebSocket-Version: 13",
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    ];
    if (dialect.subprotocol !== undefined) {
      lines.push(`Sec-WebSocket-Protocol: ${dialect.subprotocol}`);
    }
    return lines.join("\r\n") + END_OF_HEAD;
  }

  #receive(bytes: number): void {
    let start = 0;
    if (this.#head !== undefined) {
      start = this.#receiveHead(bytes);
      if (start < 0) return;
    }
    this.#reader.read(sharedBuffer, start, bytes);
    if (this.#sink.isDone) this.#settle();
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
    if (greeting !== undefined) this.send(maskedFrame(dialect.opcode, greeting));
    return end + END_OF_HEAD.length - before.length;
  }

  #close(reason: string): void {
    this.#closedBecause ??= reason;
    this.#settle(new Error(reason));
  }
}
