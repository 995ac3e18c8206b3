/**
 * A TCP server that shakes hands as a hub does and then says what a test wants, byte for byte: frames that are cut,
 * masked, of kinds that there are not, or no frames at all.
 */
import { createHash } from "node:crypto";
import { once } from "node:events";
import { createServer, type AddressInfo, type Socket } from "node:net";

/** What it does on a connection, one after the other. */
export type Babble =
  | { readonly type: "frame"; readonly opcode: number; readonly payload: Uint8Array }
  | { readonly type: "bytes"; readonly bytes: Uint8Array }
  | { readonly type: "reset" };

/** A running one. */
export interface BabblingHub {
  readonly url: string;
  /** What it says on each connection from now on, and then ends it; resolves when so many have ended. */
  babble(script: readonly Babble[], connections: number): Promise<void>;
  stop(): Promise<void>;
}

const GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/** Starts one. */
export async function startBabblingHub(): Promise<BabblingHub> {
  let script: readonly Babble[] = [];
  let onEnded: ((socket: Socket) => void) | null = null;
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("close", () => {
      sockets.delete(socket);
      onEnded?.(socket);
    });
    socket.on("error", () => {});
    socket.once("data", (request: Buffer) => {
      const [, key = ""] = /^sec-websocket-key: *(\S+)/im.exec(request.toString()) ?? [];
      socket.write(
        [
          "HTTP/1.1 101 Switching Protocols",
          "Upgrade: websocket",
          "Connection: Upgrade",
          `Sec-WebSocket-Accept: ${createHash("sha1").update(`${key}${GUID}`).digest("base64")}`,
          "Sec-WebSocket-Protocol: wspubsub.v1",
          "\r\n",
        ].join("\r\n"),
      );
      for (const babble of script) say(socket, babble);
      // Whoever sees the end has heard all that was before it.
      socket.end();
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}/ws`,
    babble: (next, connections) => {
      script = next;
      const done = new Set<Socket>();
      return new Promise((resolve) => {
        onEnded = (socket) => {
          if (done.add(socket).size >= connections) resolve();
        };
      });
    },
    stop: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}

function say(socket: Socket, babble: Babble): void {
  switch (babble.type) {
    case "frame":
      socket.write(frameOf(babble.opcode, babble.payload));
      return;
    case "bytes":
      socket.write(babble.bytes);
      return;
    case "reset":
      socket.resetAndDestroy();
  }
}

/** An unfragmented frame of the server's, of less than 64 KiB. */
function frameOf(opcode: number, payload: Uint8Array): Buffer {
  const { length } = payload;
  const head = length < 126 ? [length] : [126, length >> 8, length & 255];
  return Buffer.concat([Buffer.from([0x80 | opcode, ...head]), payload]);
}
