/**
 * A connection of Postgres's wire protocol to the embedded Postgres: psql's, or that of a program. It has its
 * turn from its first message to the end of its transaction. Any user and password are welcome.
 */
import { once } from "node:events";
import type { Socket } from "node:net";
import { NAME, type EmbeddedPostgres, type ClientState } from "./embedded-postgres.ts";
import { StatementError } from "./sql-backend.ts";
import type { Holder } from "./turns.ts";
import {
  fatal,
  frame,
  FrameReader,
  MAX_MESSAGE_BYTES,
  prefixStatement,
  ProtocolError,
} from "./wire-format.ts";

/** Milliseconds from connecting to a whole startup message. */
export const STARTUP_TIMEOUT_MS = 5000;

/** Milliseconds that a client has to read its last message. */
const LAST_WORDS_MS = 1000;

/**
 * After each message that may be `COPY … FROM STDIN`, which would read what is not there yet, without end.
 * Postgres ignores it after all others.
 */
const COPY_FAIL = frame("f", "this Postgres is embedded and takes no data for COPY: use INSERT\0");

/** What a startup says besides settings. */
const NO_SETTINGS: ReadonlySet<string> = new Set(["user", "database", "options"]);

let count = 0;

/** One client. */
export class WireClient implements Holder {
  readonly #socket: Socket;
  readonly #postgres: EmbeddedPostgres;
  readonly #state: ClientState = { settings: "", prefix: `c${++count}_`, isSuspect: false };
  #name = "a client";
  #hasTurn = false;
  #left: Promise<void> | null = null;

  constructor(socket: Socket, postgres: EmbeddedPostgres) {
    this.#socket = socket;
    this.#postgres = postgres;
  }

  /** Serves the connection to its end. */
  async serve(): Promise<void> {
    try {
      const frames = new FrameReader(this.#socket);
      if (!(await this.#start(frames))) return;
      try {
        await this.#answer(frames);
      } finally {
        await this.#leave();
      }
    } catch (error) {
      // The client's fault, in a message or in its settings.
      if (error instanceof ProtocolError) this.#end(fatal("08P01", error.message));
      else if (error instanceof StatementError) this.#end(fatalOf(error));
      // ECONNRESET, EPIPE and their like: it is gone.
      else if (!isErrno(error)) throw error;
    } finally {
      this.#end();
    }
  }

  get name(): string {
    return this.#name;
  }

  /** It was idle in its transaction while others waited. */
  giveUp(): void {
    console.error(
      `Postgres ended a transaction of ${this.#name}: it was idle, and the hub or another client waited`,
    );
    this.#end(
      fatal(
        "25P03",
        "terminating connection due to idle-in-transaction timeout",
        "This Postgres has one backend, which a transaction keeps for itself. " +
          "While the hub or another client waits, it may be idle for a second.",
      ),
    );
    void this.#leave();
  }

  async #start(frames: FrameReader): Promise<boolean> {
    const timer = setTimeout(() => this.#socket.destroy(), STARTUP_TIMEOUT_MS);
    try {
      for (;;) {
        const opening = await frames.opening();
        // There is no process to signal, and no answer to give.
        if (opening === null || opening.type === "cancel") return false;
        if (opening.type === "encryption") this.#socket.write("N");
        else {
          if (opening.refused !== null) this.#socket.write(opening.refused);
          return this.#welcome(opening.parameters);
        }
      }
    } finally {
      clearTimeout(timer);
    }
  }

  #welcome(parameters: ReadonlyMap<string, string>): boolean {
    const database = parameters.get("database") ?? parameters.get("user");
    if (database !== NAME) {
      this.#socket.write(
        fatal("3D000", `database "${database}" does not exist`, `The only one here is "${NAME}".`),
      );
      return false;
    }
    this.#name = parameters.get("application_name")?.replaceAll(/[^ -~]/g, "?") || this.#name;
    this.#state.settings = toHex(settingsOf(parameters));
    if (!this.#postgres.join(this.#state)) {
      this.#socket.write(fatal("53300", "sorry, too many clients already"));
      return false;
    }
    this.#socket.write(this.#postgres.greeting);
    return true;
  }

  async #answer(frames: FrameReader): Promise<void> {
    let batch: Buffer[] = [];
    let bytes = 0;
    for (;;) {
      const message = await frames.message();
      if (message === null || this.#left !== null) return;
      const type = String.fromCharCode(message[0] ?? 0);
      if (type === "X") return;
      // Data for a COPY that was refused already.
      if ("dcf".includes(type)) continue;
      // Postgres would say the same, but PGlite would not survive it.
      if (!"QFPBEDCHS".includes(type))
        throw new ProtocolError(`invalid frontend message type ${message[0]}`);
      batch.push(prefixStatement(message, this.#state.prefix));
      if (type === "Q" || type === "E") batch.push(COPY_FAIL);
      bytes += message.length;
      const isEnd = "QFS".includes(type);
      if (!isEnd && type !== "H" && bytes < MAX_MESSAGE_BYTES) continue;
      await this.#run(Buffer.concat(batch), isEnd);
      batch = [];
      bytes = 0;
    }
  }

  async #run(messages: Buffer, isEnd: boolean): Promise<void> {
    await this.#takeTurn();
    await this.#postgres.exec(this.#state, messages, {
      isEnd,
      onAnswer: (bytes) => this.#socket.write(bytes),
    });
    if (!isEnd || this.#postgres.isInTransaction) this.#postgres.turns.idle();
    else this.#releaseTurn();
    if (this.#socket.writableNeedDrain) {
      await Promise.race([once(this.#socket, "drain"), once(this.#socket, "close")]);
    }
  }

  async #takeTurn(): Promise<void> {
    if (this.#hasTurn) this.#postgres.turns.busy();
    else await this.#postgres.turns.take(this);
    this.#hasTurn = true;
  }

  #releaseTurn(): void {
    this.#hasTurn = false;
    this.#postgres.turns.release();
  }

  async #leave(): Promise<void> {
    this.#left ??= this.#undo();
    await this.#left;
  }

  async #undo(): Promise<void> {
    await this.#takeTurn();
    await this.#postgres.leave(this.#state);
    this.#releaseTurn();
  }

  #end(lastWords: Buffer = Buffer.alloc(0)): void {
    if (this.#socket.writableEnded) return;
    this.#socket.end(lastWords);
    setTimeout(() => this.#socket.destroy(), LAST_WORDS_MS).unref();
  }
}

/** Those of the connection, and those of PGOPTIONS: `-c name=value` or `--name=value`. */
function settingsOf(parameters: ReadonlyMap<string, string>): Record<string, string> {
  const settings = [...parameters].filter(([name]) => !NO_SETTINGS.has(name));
  const options = parameters.get("options") ?? "";
  for (const [, name, value] of options.matchAll(/(?:-c\s*|--)([\w.-]+)=(\S+)/g)) {
    if (name !== undefined && value !== undefined)
      settings.push([name.replaceAll("-", "_"), value]);
  }
  return Object.fromEntries(settings);
}

function toHex(settings: Record<string, string>): string {
  return Buffer.from(JSON.stringify(settings)).toString("hex");
}

function fatalOf({ message, fields }: StatementError): Buffer {
  return fatal(String(fields["code"]), message);
}

function isErrno(error: unknown): boolean {
  return error instanceof Error && "code" in error;
}
