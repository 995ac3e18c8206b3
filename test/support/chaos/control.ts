/**
 * Where the programs of a test hear from it: an HTTP server that says when to stop and gives out tokens. HTTP, since it
 * is what Node, Deno, Bun and a page all have, and since a request under way leaves nothing behind when it is answered.
 */
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** The server of one test. */
export interface Control {
  /** A GET is answered with 200 when the word is said, and with 204 where that takes long. */
  url(word: string): string;
  /** Answers those who wait for a word, and whoever asks for it from then on. */
  say(word: string): void;
  /** A GET is answered with what `make` returns; where that throws, with 500. */
  gives(name: string, make: () => string | Promise<string>): string;
  stop(): void;
}

/** Whoever waits is told to ask again: `fetch` gives up in minutes, and no answer comes to a page that is offline. */
const ASK_AGAIN_MS = 5000;

/** Starts one. */
export async function startControl(): Promise<Control> {
  const said = new Set<string>();
  const waiting = new Map<string, ServerResponse[]>();
  const makers = new Map<string, () => string | Promise<string>>();

  const server = createServer((request, response) => {
    const name = request.url ?? "";
    const make = makers.get(name);
    if (make !== undefined) void give(response, make);
    else if (said.has(name)) answer(response, 200, "");
    else {
      waiting.set(name, [...(waiting.get(name) ?? []), response]);
      const timer = setTimeout(() => answer(response, 204, ""), ASK_AGAIN_MS);
      response.on("close", () => clearTimeout(timer));
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

  return {
    url: (word) => `${base}/word/${word}`,
    say: (word) => {
      said.add(`/word/${word}`);
      for (const response of waiting.get(`/word/${word}`) ?? []) {
        if (!response.writableEnded) answer(response, 200, "");
      }
      waiting.delete(`/word/${word}`);
    },
    gives: (name, make) => {
      makers.set(`/given/${name}`, make);
      return `${base}/given/${name}`;
    },
    stop: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

async function give(response: ServerResponse, make: () => string | Promise<string>): Promise<void> {
  try {
    answer(response, 200, await make());
  } catch (error) {
    // Of the test's own maker, which may want to fail.
    answer(response, 500, String(error));
  }
}

function answer(response: ServerResponse, status: number, body: string): void {
  response.writeHead(status, { "Access-Control-Allow-Origin": "*", Connection: "close" });
  response.end(body);
}
