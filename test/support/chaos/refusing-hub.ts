/**
 * A WebSocket server before a hub that refuses publishes at random, by a seed, as a hub would that has too much to do:
 * what it refuses the hub never hears of. The hub itself then refuses those behind, whose `after` it does not know.
 */
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { WebSocket, WebSocketServer } from "ws";
import { createSeededRandom } from "../../bench/load/seeded-random.ts";

/** A running one. */
export interface RefusingHub {
  through(url: string): string;
  refused(): number;
  /** Answers of the hub's that something is out of order. */
  outOfOrder(): number;
  stop(): Promise<void>;
}

const OVERLOADED = {
  type: "urn:wspubsub:problem:topic-overloaded",
  title: "More is waiting than the topic can hold",
  status: 503,
  detail: "Nothing of it was published: send it again",
  retryAfter: 1,
};

/** Starts one that refuses so many publishes, each with a probability. */
export async function startRefusingHub(
  hubUrl: string,
  options: { seed: number; probability: number; most: number },
): Promise<RefusingHub> {
  const random = createSeededRandom(options.seed);
  let refused = 0;
  let outOfOrder = 0;
  const server = new WebSocketServer({ port: 0, host: "127.0.0.1" });
  await once(server, "listening");
  server.on("connection", (client, request) => {
    const offered = (request.headers["sec-websocket-protocol"] ?? "").split(/, */);
    const upstream = new WebSocket(new URL(request.url ?? "", hubUrl), offered);
    // Answers come in order: a refusal waits for those of the publishes before it.
    let last: string | null = null;
    const held = new Map<string, string[]>();
    const opened = once(upstream, "open").catch(() => null);
    for (const socket of [client, upstream]) socket.on("error", () => socket.terminate());
    client.on("message", (data: Buffer) => {
      const text = data.toString();
      const id = /^\{"type":"publish","id":"([^"]+)"/.exec(text)?.[1];
      if (id !== undefined && refused < options.most && random() < options.probability) {
        refused++;
        const refusal = JSON.stringify({ type: "error", id, problem: OVERLOADED });
        if (last === null) client.send(refusal);
        else held.set(last, [...(held.get(last) ?? []), refusal]);
        return;
      }
      last = id ?? last;
      void opened.then((isOpen) => isOpen && upstream.send(text));
    });
    upstream.on("message", (data: Buffer) => {
      const text = data.toString();
      if (text.includes(":out-of-order")) outOfOrder++;
      client.send(text);
      const answered = /"id":"([^"]+)"/.exec(text)?.[1] ?? "";
      for (const refusal of held.get(answered) ?? []) client.send(refusal);
      held.delete(answered);
      if (answered === last) last = null;
    });
    client.on("close", () => upstream.close());
    upstream.on("close", (code, reason) => {
      if (code >= 3000 || code === 1000) client.close(code, reason);
      else client.terminate();
    });
  });
  const own = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    through: (url) => url.replace(new URL(url).host, own),
    refused: () => refused,
    outOfOrder: () => outOfOrder,
    stop: async () => {
      for (const client of server.clients) client.terminate();
      server.close();
      await once(server, "close");
    },
  };
}
