/**
 * A refusal that a browser can read (PROTOCOL.md, 4.6): its WebSocket says nothing of a refused
 * handshake, but it does report how a socket was closed.
 */
import { PROBLEMS, type Problem } from "../core/problem.ts";
import { parseOffer } from "../core/subprotocol.ts";

/** Whether a request asks for its refusal to be explained, and can be. */
export function wantsExplanation(request: Request): boolean {
  const isHandshake =
    request.method === "GET" && request.headers.get("Upgrade")?.toLowerCase() === "websocket";
  return isHandshake && new URL(request.url).searchParams.get("explain") === "1";
}

/** Accepts the socket, and closes it with the problem's code and slug. */
export function explainRefusal(request: Request, { slug }: Problem): Response {
  const { 0: client, 1: server } = new WebSocketPair();
  server.accept();
  server.close(PROBLEMS[slug].closeCode, slug);
  const headers = new Headers();
  const { agreed } = parseOffer(request.headers.get("Sec-WebSocket-Protocol"));
  if (agreed !== null) headers.set("Sec-WebSocket-Protocol", agreed);
  return new Response(null, { status: 101, webSocket: client, headers });
}
