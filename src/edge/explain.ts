/**
 * A refusal that a browser can read (PROTOCOL.md, 4.6): its WebSocket says nothing of a refused
 * handshake, but it does report what a socket received and how it was closed.
 */
import { formatError } from "../core/hub-frame.ts";
import { PROBLEMS, type Problem } from "../core/problem.ts";
import { STREAM_PROTOCOL } from "../core/stream.ts";
import { parseOffer } from "../core/subprotocol.ts";
import { isHandshake } from "./handshake.ts";
import { problemResponse } from "./problem-response.ts";

/** Refuses a request in the form that it asked for: as a problem, or as a socket that says what the problem is. */
export function answerRefusal(request: Request, problem: Problem): Response {
  return wantsExplanation(request) ? explainRefusal(request, problem) : problemResponse(problem);
}

/** Whether a request asks for its refusal to be explained, and can be. */
function wantsExplanation(request: Request): boolean {
  return isHandshake(request) && new URL(request.url).searchParams.get("explain") === "1";
}

/** Accepts the socket and closes it with the problem's code and slug; a stream is told the rest of it before. */
function explainRefusal(request: Request, problem: Problem): Response {
  const { 0: client, 1: server } = new WebSocketPair();
  const headers = new Headers();
  const { agreed } = parseOffer(request.headers.get("Sec-WebSocket-Protocol"));
  if (agreed !== null) headers.set("Sec-WebSocket-Protocol", agreed);
  const { closeCode, headers: kept } = PROBLEMS[problem.slug];
  server.accept();
  if (agreed === STREAM_PROTOCOL) {
    const seconds = kept?.["Retry-After"];
    const retryAfter = seconds === undefined ? {} : { retryAfter: Number(seconds) };
    server.send(formatError(null, { ...retryAfter, ...problem }));
  }
  server.close(closeCode, problem.slug);
  return new Response(null, { status: 101, webSocket: client, headers });
}
