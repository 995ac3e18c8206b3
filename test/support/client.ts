/**
 * The client of the integration tests: npm `ws` behind a queue, so that tests wait for what arrives and
 * never for time. Knows nothing of the hub's code.
 */
import WebSocket from "ws";

/** What a socket can receive, in the order of arrival. */
export type Received =
  | { readonly type: "text"; readonly text: string }
  | { readonly type: "binary"; readonly bytes: Buffer }
  | { readonly type: "close"; readonly code: number; readonly reason: string };

/** A handshake that the hub refused. */
export interface Refusal {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
}

/** An open WebSocket. */
export class Client {
  readonly socket: WebSocket;
  readonly #received: Received[] = [];
  readonly #waiting: ((item: Received) => void)[] = [];

  constructor(socket: WebSocket) {
    this.socket = socket;
    socket.on("message", (data: Buffer, isBinary: boolean) => {
      if (isBinary) this.#take({ type: "binary", bytes: data });
      else this.#take({ type: "text", text: data.toString() });
    });
    socket.on("close", (code, reason) => {
      this.#take({ type: "close", code, reason: reason.toString() });
    });
    // An error is always followed by a close, which is what tests look at.
    socket.on("error", () => {});
  }

  /** The next message or the close; waits for it. */
  next(): Promise<Received> {
    const item = this.#received.shift();
    if (item !== undefined) return Promise.resolve(item);
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** The next so many text messages; throws at anything else. */
  async texts(count: number): Promise<string[]> {
    const texts: string[] = [];
    while (texts.length < count) {
      const item = await this.next();
      if (item.type !== "text") throw new Error(`Received ${JSON.stringify(item)}`);
      texts.push(item.text);
    }
    return texts;
  }

  /** The close, skipping messages that come before it. */
  async closed(): Promise<{ code: number; reason: string }> {
    for (;;) {
      const item = await this.next();
      if (item.type === "close") return { code: item.code, reason: item.reason };
    }
  }

  send(data: string | Uint8Array): void {
    this.socket.send(data);
  }

  /** Closes with a Close frame and waits for the answer. */
  async close(code = 1000, reason = ""): Promise<{ code: number; reason: string }> {
    this.socket.close(code, reason);
    return this.closed();
  }

  #take(item: Received): void {
    const waiting = this.#waiting.shift();
    if (waiting) waiting(item);
    else this.#received.push(item);
  }
}

/** Connects, or says how it was refused; rejects when there is no HTTP answer at all. */
export function connect(
  url: string,
  protocols: readonly string[] = [],
  headers: Readonly<Record<string, string>> = {},
): Promise<Client | Refusal> {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url, [...protocols], {
      headers: { "CF-Connecting-IP": ownAddress(), ...headers },
    });
    // Made at once: a message may follow the handshake in the same packet.
    const client = new Client(socket);
    socket.on("open", () => resolve(client));
    socket.on("unexpected-response", (_, response) => {
      let body = "";
      response.on("data", (chunk: Buffer) => (body += chunk.toString()));
      response.on("end", () => {
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body });
        socket.terminate();
      });
    });
    socket.on("error", reject);
  });
}

/**
 * An address that no other client has: a hub on this machine believes the header that Cloudflare would set,
 * and what other tests are refused for is then not counted against this one (PROTOCOL.md, 14.1).
 */
export function ownAddress(): string {
  const groups = Array.from({ length: 4 }, () => Math.floor(Math.random() * 65_536).toString(16));
  return `${groups.join(":")}::1`;
}

/** Connects; a refusal is an error. */
export async function open(
  url: string,
  protocols: readonly string[] = [],
  headers: Readonly<Record<string, string>> = {},
): Promise<Client> {
  const outcome = await connect(url, protocols, headers);
  if (outcome instanceof Client) return outcome;
  throw new Error(`Refused with ${outcome.status}: ${outcome.body}`);
}

/** Expects a refusal; a connection is an error. */
export async function refused(
  url: string,
  protocols: readonly string[] = [],
  headers: Readonly<Record<string, string>> = {},
): Promise<Refusal> {
  const outcome = await connect(url, protocols, headers);
  if (!(outcome instanceof Client)) return outcome;
  outcome.socket.terminate();
  throw new Error("Connected, though a refusal was expected");
}
