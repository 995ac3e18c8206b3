/**
 * A proxy in front of the key store's HTTP endpoint that counts what passes: `POST` goes on, `GET`
 * answers with the number so far.
 */
import { once } from "node:events";
import { type IncomingMessage, type Server, type ServerResponse, createServer } from "node:http";

/** A running counter. */
export interface QueryCounter {
  readonly port: number;
  /** The number so far. */
  count(): number;
  stop(): void;
}

/** Starts one in this process. */
export async function startQueryCounter(sqlUrl: string): Promise<QueryCounter> {
  let queries = 0;
  const server = createServer((request, response) => {
    if (request.method === "GET") {
      response.end(String(queries));
      return;
    }
    queries += 1;
    forward(request, response, sqlUrl).catch((error: unknown) => {
      // The key store is gone, or the asker: the Worker that asked treats it as a database's failure.
      response.writeHead(502).end(String(error));
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: portOf(server),
    count: () => queries,
    stop: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

async function forward(
  request: IncomingMessage,
  response: ServerResponse,
  sqlUrl: string,
): Promise<void> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(Buffer.from(chunk as Uint8Array));
  const headers = new Headers();
  for (const [name, value] of Object.entries(request.headers)) {
    if (name.startsWith("neon-") || name === "content-type") headers.set(name, String(value));
  }
  const answer = await fetch(sqlUrl, { method: "POST", headers, body: Buffer.concat(chunks) });
  const type = answer.headers.get("content-type") ?? "application/json";
  response.writeHead(answer.status, { "Content-Type": type });
  response.end(Buffer.from(await answer.arrayBuffer()));
}

function portOf(server: Server): number {
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("Expected a TCP address");
  return address.port;
}
