/**
 * One port for two protocols: the first byte of a connection tells HTTP, which begins with a letter, from
 * Postgres's own, which begins with the length of a short message.
 */
import type { Server } from "node:http";
import type { Socket } from "node:net";
import type { EmbeddedPostgres } from "./embedded-postgres.ts";
import { STARTUP_TIMEOUT_MS, WireClient } from "./wire-client.ts";

/** Connections of both protocols. */
const MAX_CONNECTIONS = 500;

/** Makes an HTTP server serve Postgres's protocol, too. */
export function serveBoth(server: Server, postgres: EmbeddedPostgres): void {
  const serveHttp = server.listeners("connection");
  server.removeAllListeners("connection");
  server.maxConnections = MAX_CONNECTIONS;
  server.on("connection", (socket: Socket) => {
    // Of one that goes before it has said anything; each protocol listens for itself, too.
    socket.on("error", () => socket.destroy());
    const timer = setTimeout(() => socket.destroy(), STARTUP_TIMEOUT_MS);
    socket.on("close", () => clearTimeout(timer));
    socket.once("data", (bytes: Buffer) => {
      clearTimeout(timer);
      socket.pause();
      socket.unshift(bytes);
      if (bytes[0] === 0) {
        void new WireClient(socket, postgres).serve();
        return;
      }
      for (const serve of serveHttp) serve.call(server, socket);
      socket.resume();
    });
  });
}
