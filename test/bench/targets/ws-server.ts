/** The `ws` target's own program: a bare broadcast server, as its README shows one. */
import { type WebSocket, WebSocketServer } from "ws";

const port = Number(process.argv[2]);
const server = new WebSocketServer({ port, host: "127.0.0.1", perMessageDeflate: false });
const subscribers = new Set<WebSocket>();

server.on("connection", (socket, request) => {
  socket.on("error", () => {
    // A reset when the load generator leaves; "close" follows and does the rest.
  });
  if (request.url === "/subscriber") {
    subscribers.add(socket);
    socket.on("close", () => subscribers.delete(socket));
    return;
  }
  socket.on("message", (data, isBinary) => {
    for (const subscriber of subscribers) subscriber.send(data, { binary: isBinary });
  });
});
