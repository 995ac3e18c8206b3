/**
 * A hub that a test plays over real sockets, for programs of their own: it speaks WebSocket and answers heartbeats,
 * and leaves everything else to the test.
 */
import { once } from "node:events";
import { onTestFinished } from "vitest";
import { WebSocketServer, type WebSocket } from "ws";

/** A socket as the hub has it. */
export interface PlayedSocket {
  /** As it was asked for. */
  readonly url: URL;
  readonly offered: readonly string[];
  /** Says a frame. */
  say(frame: object): void;
  /** Refuses a connection as `explain=1` does. */
  refuse(code: number, slug: string): void;
  close(code: number, reason: string): void;
  /** Cuts the connection. */
  cut(): void;
  /** Hears nothing any more, so that no close is answered. */
  stall(): void;
  /** Resolves when the client has read all that was said before, and sent all that it had to send before that. */
  settled(): Promise<void>;
}

/** How a test plays it. */
export interface Play {
  /** A socket is there, the so manieth. */
  readonly opened?: (socket: PlayedSocket, number: number) => void;
  /** A frame came, but for heartbeats. */
  readonly heard?: (socket: PlayedSocket, frame: Record<string, unknown>) => void;
}

/** Starts one; it ends with the test. Returns its URL, `http://127.0.0.1:PORT`. */
export async function playHub({ opened, heard }: Play): Promise<string> {
  const server = new WebSocketServer({
    port: 0,
    host: "127.0.0.1",
    handleProtocols: () => "wspubsub.v1",
  });
  let count = 0;
  server.on("connection", (socket, request) => {
    const { url = "", headers } = request;
    const offered = String(headers["sec-websocket-protocol"]).split(/,\s*/);
    const played = playSocket(socket, new URL(url, "http://hub"), offered);
    socket.on("message", (data: Buffer) => {
      const text = data.toString();
      if (text === "wspubsub:ping") socket.send("wspubsub:pong");
      else heard?.(played, JSON.parse(text));
    });
    opened?.(played, ++count);
  });
  await once(server, "listening");
  onTestFinished(async () => {
    for (const socket of server.clients) socket.terminate();
    server.close();
    await once(server, "close");
  });
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("Expected a TCP address");
  return `http://127.0.0.1:${address.port}`;
}

function playSocket(socket: WebSocket, url: URL, offered: string[]): PlayedSocket {
  const say = (frame: object): void => socket.send(JSON.stringify(frame));
  return {
    url,
    offered,
    say,
    refuse(code, slug) {
      const type = `urn:wspubsub:problem:${slug}`;
      say({ type: "error", id: null, problem: { type, title: "A", status: 400, detail: "B" } });
      socket.close(code, slug);
    },
    close: (code, reason) => socket.close(code, reason),
    cut: () => socket.terminate(),
    stall: () => socket.pause(),
    async settled() {
      const pong = once(socket, "pong");
      socket.ping();
      await pong;
    },
  };
}
