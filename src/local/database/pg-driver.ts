/**
 * Postgres in its ordinary protocol, over one connection. Invariants: nothing outlasts its time, that of connecting
 * included; a connection that nobody waits for does not keep the process.
 */
import { Socket } from "node:net";
import type { ConnectionOptions } from "node:tls";
import pg from "pg";
import type { DatabaseUrl } from "../../core/database-url.ts";
import type { Driver, Failure, Row } from "./database.ts";
import { explainRefusal } from "./explain-refusal.ts";
import { firstLine } from "./first-line.ts";
import { readPgSettings, type PgSettings } from "./pg-settings.ts";

interface Connection {
  readonly client: pg.Client;
  readonly socket: Socket;
}

/** Authentication, an error, or another version of the protocol; to the question for TLS: yes, no, an error. */
const FIRST_ANSWER = /^[REv]/;
const FIRST_TLS_ANSWER = /^[SNE]/;

const NO_TLS = "The server does not support SSL connections";

/** What the codes of Node's say to somebody who does not know them. */
const MEANINGS: Readonly<Record<string, string>> = {
  ECONNREFUSED: "does Postgres run there, and listen on that port?",
  ENOTFOUND: "there is no such host",
  EAI_AGAIN: "the name of the host cannot be looked up now",
  EHOSTUNREACH: "the host cannot be reached from here",
  ENETUNREACH: "the host cannot be reached from here",
  ETIMEDOUT: "the host does not answer",
};

/** Speaks to any Postgres. */
export class PgDriver implements Driver {
  readonly place: string;
  readonly #settings: PgSettings;
  readonly #timeoutMs: number;
  #connection: Connection | null = null;
  /** What is being connected, for whoever has to give up. */
  #socket: Socket | null = null;
  /** What answered first there, where that is no Postgres. */
  #stranger: "HTTP" | "something else" | null = null;

  /** Throws a UserError for a URL that cannot be used. */
  constructor(url: DatabaseUrl, timeoutMs: number) {
    this.#settings = readPgSettings(url);
    this.place = `${url.host}:${this.#settings.config.port}`;
    this.#timeoutMs = timeoutMs;
  }

  async query(text: string, params: readonly unknown[]): Promise<Row[]> {
    const timer = setTimeout(() => {
      this.#socket?.destroy(new DOMException("No answer in time", "TimeoutError"));
    }, this.#timeoutMs);
    try {
      const { client, socket } = (this.#connection ??= await this.#connect());
      socket.ref();
      // Extended, as Neon has it: a text of two statements is refused.
      const query = { text, values: [...params], queryMode: "extended" };
      const { rows } = await client.query<Row>(query);
      return rows;
    } catch (cause) {
      // What Postgres refuses leaves the connection as it was.
      if (!(cause instanceof pg.DatabaseError)) this.#drop();
      throw cause;
    } finally {
      clearTimeout(timer);
      this.#socket?.unref();
    }
  }

  explain(cause: unknown): Failure {
    if (cause instanceof pg.DatabaseError && cause.code !== undefined) {
      const { code, message, hint } = cause;
      return explainRefusal({ code, message, hint });
    }
    return { isRefusal: false, reason: this.#explainNoAnswer(cause) };
  }

  close(): void {
    // Says goodbye; whether anybody hears it is not waited for.
    this.#connection?.client.end().catch(() => this.#drop());
    this.#connection = null;
  }

  async #connect(): Promise<Connection> {
    const { tls } = this.#settings;
    for (const [i, ssl] of tls.entries()) {
      try {
        return await this.#connectOnce(ssl);
      } catch (cause) {
        const isLast = i === tls.length - 1;
        if (isLast || !(cause instanceof Error && cause.message === NO_TLS)) throw cause;
      }
    }
    throw new Error("Expected a way to connect");
  }

  async #connectOnce(ssl: ConnectionOptions | false): Promise<Connection> {
    const socket = new Socket();
    this.#socket = socket;
    socket.once("data", (data) => {
      const answer = String(data);
      if ((ssl === false ? FIRST_ANSWER : FIRST_TLS_ANSWER).test(answer)) return;
      this.#stranger = answer.startsWith("HTTP/") ? "HTTP" : "something else";
      socket.destroy();
    });
    const client = new pg.Client({ ...this.#settings.config, ssl, stream: () => socket });
    // Of a connection that breaks while nobody asks; the next question hears of it.
    client.on("error", () => {});
    await client.connect();
    return { client, socket };
  }

  #drop(): void {
    this.#connection = null;
    this.#socket?.destroy();
    this.#socket = null;
  }

  #explainNoAnswer(cause: unknown): string {
    if (!(cause instanceof Error)) return String(cause);
    const { message, name } = cause;
    if (name === "TimeoutError") return `no answer within ${this.#timeoutMs / 1000} seconds`;
    if (this.#stranger !== null) {
      return `what answers there speaks ${this.#stranger}, not Postgres's protocol: check host and port`;
    }
    if (message === NO_TLS) return "it speaks no TLS, which sslmode in DATABASE_URL asks for";
    if (/password must be/.test(message)) return "it asks for a password: DATABASE_URL has none";
    if (/^Connection terminated|not queryable/.test(message)) return "the connection broke off";
    const code = "code" in cause && typeof cause.code === "string" ? cause.code : null;
    if (code === null) return firstLine(message);
    if (code === "ECONNRESET" || code === "EPIPE") return `the connection broke off (${code})`;
    if (/CERT|ERR_TLS|SIGNATURE|ISSUER/.test(code)) {
      return (
        `its certificate is not trusted (${code}): name who signed it by sslrootcert=FILE, ` +
        "or take sslmode=require, which does not check it"
      );
    }
    const meaning = MEANINGS[code];
    return meaning === undefined ? `no connection: ${code}` : `no connection: ${code}: ${meaning}`;
  }
}
