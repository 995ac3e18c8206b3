/** A WebSocket handshake by hand, which shows what a WebSocket keeps to itself: the answer of what stands in between. */
import { randomBytes } from "node:crypto";
import { request as requestHttp, type IncomingMessage } from "node:http";
import { request as requestHttps } from "node:https";
import { text } from "node:stream/consumers";
import { STREAM_PROTOCOL } from "../../core/stream.ts";
import { parseJson } from "../input/parse-json.ts";
import { readProblem, type ToldProblem } from "../messages/read-problem.ts";
import { socketUrl, type TopicAddress } from "../messages/topic-address.ts";
import { LIMIT_MS } from "./check.ts";

/** What came of it. */
export type Handshake =
  | { readonly type: "open" }
  /** By the hub. */
  | { readonly type: "refused"; readonly problem: ToldProblem }
  | { readonly type: "not a hub"; readonly status: number }
  | { readonly type: "no answer"; readonly reason: string };

/** Tries to subscribe, without a credential, and leaves at once. */
export function tryHandshake(address: TopicAddress): Promise<Handshake> {
  const url = new URL(socketUrl("sub", address).replace(/^ws/, "http"));
  const request = url.protocol === "https:" ? requestHttps : requestHttp;
  return new Promise((resolve) => {
    const asked = request(url, {
      headers: {
        Connection: "Upgrade",
        Upgrade: "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": randomBytes(16).toString("base64"),
        "Sec-WebSocket-Protocol": STREAM_PROTOCOL,
      },
      signal: AbortSignal.timeout(LIMIT_MS),
    });
    const fail = (error: Error): void => {
      const isLate = error.name === "TimeoutError" || error.name === "AbortError";
      const reason = isLate ? `no answer within ${LIMIT_MS / 1000} seconds` : error.message;
      resolve({ type: "no answer", reason });
    };
    asked.on("error", fail);
    asked.on("upgrade", (_, socket) => {
      socket.on("error", () => {});
      socket.destroy();
      resolve({ type: "open" });
    });
    asked.on("response", (response) => {
      read(response).then(resolve, fail);
    });
    asked.end();
  });
}

async function read(response: IncomingMessage): Promise<Handshake> {
  const problem = readProblem(parseJson(await text(response)));
  if (problem !== null) return { type: "refused", problem };
  return { type: "not a hub", status: response.statusCode ?? 0 };
}
