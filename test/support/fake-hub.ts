/**
 * A stand-in for the hub's admin routes, for what a real hub would not answer on request.
 */
import { once } from "node:events";
import { createServer } from "node:http";
import { onTestFinished } from "vitest";

/** What a hub that is well answers an operator at /v1/health. */
export const WELL = {
  status: "ok",
  version: "0.1.0",
  configuration: "ok",
  database: { status: "ok", reason: null, schema: "ok" },
  faults: [],
};

/** A request it got. */
export interface SeenRequest {
  readonly line: string;
  readonly authorization: string | undefined;
}

/** An answer it gives. */
export interface FakeAnswer {
  readonly status: number;
  readonly body: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

/** A running one. */
export interface FakeHub {
  readonly url: string;
  readonly seen: readonly SeenRequest[];
  /** What a command that is to use it needs. */
  readonly env: { readonly HUB_URL: string; readonly ADMIN_TOKEN: string };
}

/** The admin token of tests. */
export const ADMIN_TOKEN = "an-admin-token-that-is-long-enough-0123456789";

/** The place of a hub that does not answer: nothing listens on port 2. */
export const DEAD_HUB = { HUB_URL: "http://127.0.0.1:2", ADMIN_TOKEN };

/** What it does with every request: a fixed answer, or one made up, or none ever, or half of one. */
export type FakeBehaviour =
  | FakeAnswer
  | (() => Promise<FakeAnswer>)
  | "silent"
  | "stalls"
  | "hangs up";

/** Starts one that treats every request alike, until the test ends. */
export async function startFakeHub(behaviour: FakeBehaviour): Promise<FakeHub> {
  const seen: SeenRequest[] = [];
  const server = createServer((request, response) => {
    seen.push({
      line: `${request.method} ${request.url}`,
      authorization: request.headers.authorization,
    });
    if (behaviour === "silent") return;
    if (behaviour === "stalls") return void response.writeHead(200).write("{");
    if (behaviour === "hangs up") return void response.destroy();
    const answer = typeof behaviour === "function" ? behaviour() : Promise.resolve(behaviour);
    void answer.then(({ status, body, headers }) => {
      response.writeHead(status, { "Content-Type": "application/json", ...headers });
      response.end(typeof body === "string" ? body : JSON.stringify(body));
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(async () => {
    server.closeAllConnections();
    await once(server.close(), "close");
  });
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("Expected a TCP address");
  const url = `http://127.0.0.1:${address.port}`;
  return { url, seen, env: { HUB_URL: url, ADMIN_TOKEN } };
}

/** A request that a command with `env` sends. */
export function authorized(line: string): SeenRequest {
  return { line, authorization: `Bearer ${ADMIN_TOKEN}` };
}
