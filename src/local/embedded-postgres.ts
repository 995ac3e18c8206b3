/**
 * PGlite shared by many clients. It has one backend, so that one client uses it at a time, and a transaction
 * to its end. Clients of the wire protocol keep their settings and their prepared statements from turn to
 * turn; what else a session may have (temporary tables, `PREPARE` in SQL, `LISTEN`, advisory locks, cursors
 * that are held) they share, until the last of them is gone. A request over HTTP leaves nothing behind.
 */
import { protocol, type PGlite } from "@electric-sql/pglite";
import { BusyWatch } from "./busy-watch.ts";
import {
  readCommandTag,
  StatementError,
  toStatementError,
  toText,
  type RunStatement,
  type SqlBackend,
  type Statement,
  type StatementResult,
} from "./sql-backend.ts";
import { Turns } from "./turns.ts";
import { frame, startupFrame } from "./wire-format.ts";

/** What PGlite's one role and one database are called. */
export const NAME = "postgres";

/** No SQL, and a Sync: undoes a batch that its client has left without one, which Sync alone would commit. */
const ABORT = Buffer.concat([frame("P", "\0!\0\0\0"), frame("S", "")]);

/** Clients of the wire protocol; connections over HTTP are always to be had beside them. */
const MAX_CLIENTS = 50;

/** What a client of the wire protocol has while it does not use the backend. */
export interface ClientState {
  /** Its settings: JSON of name and value as hex, so that no encoding or quoting of the client's matters. */
  settings: string;
  /** Before the names of its prepared statements; a word. */
  readonly prefix: string;
  /** It spoke of a timeout, so that it may have set a deadly one, now or later. */
  isSuspect: boolean;
}

/** Of our own statements; a client's own unnamed one stays what it is. */
const OWN = "wspubsub";

/** PGlite has no process to end when one of these runs out: it would spin for ever. */
const DEADLY_SETTINGS = [
  "idle_session_timeout",
  "idle_in_transaction_session_timeout",
  "transaction_timeout",
];

const SAVE = `select encode(convert_to(coalesce(json_object_agg(name, setting), '{}')::text, 'UTF8'), 'hex')
  from (
    select name, setting from pg_catalog.pg_settings where source = 'session'
    union all select 'session_authorization', session_user where session_user <> '${NAME}'
    union all select 'role', current_setting('role') where current_setting('role') <> 'none'
  ) of_session`;
const RESTORE = `select set_config(key, value, false)
  from json_each_text(convert_from(decode($1, 'hex'), 'UTF8')::json)
  where key not in ('${DEADLY_SETTINGS.join("', '")}')`;

/** The database and whose turn it is. */
export class EmbeddedPostgres implements SqlBackend {
  readonly turns: Turns = new Turns();
  /** What Postgres answers to a client's startup. */
  readonly greeting: Buffer;
  readonly #database: PGlite;
  /** From the first client of the wire protocol on. */
  #watch: BusyWatch | null = null;
  readonly #clients = new Set<ClientState>();
  /** Whose settings the backend has; `null`: nobody's. */
  #current: ClientState | null = null;

  private constructor(database: PGlite, greeting: Buffer) {
    this.#database = database;
    this.greeting = greeting;
  }

  static async open(database: PGlite): Promise<EmbeddedPostgres> {
    await database.exec("discard all");
    const parts: Buffer[] = [];
    await database.execProtocolRawStream(startupFrame(NAME, NAME), {
      onRawData: (bytes) => void parts.push(Buffer.from(bytes)),
    });
    return new EmbeddedPostgres(database, Buffer.concat(parts));
  }

  async withSession<T>(work: (run: RunStatement) => Promise<T>): Promise<T> {
    // Never idle: its statements are all there when it begins.
    await this.turns.take({ name: "the hub", giveUp: () => {} });
    try {
      await this.#switchTo(null, () => {});
      return await work((statement) => this.#run(statement));
    } finally {
      await this.#forgetSession();
      this.turns.release();
    }
  }

  /** Whether a transaction is open, failed or not. */
  get isInTransaction(): boolean {
    return this.#database.isInTransaction();
  }

  /** A new client of the wire protocol; false if there are too many. */
  join(client: ClientState): boolean {
    if (this.#clients.size >= MAX_CLIENTS) return false;
    this.#clients.add(client);
    this.#watch ??= new BusyWatch();
    return true;
  }

  /**
   * In the client's turn: runs messages with its settings. Either they end with Sync or a message that does
   * as much, or more are to come. Throws a StatementError if the settings are wrong.
   */
  async exec(
    client: ClientState,
    messages: Buffer,
    { isEnd, onAnswer }: { isEnd: boolean; onAnswer: (bytes: Buffer) => void },
  ): Promise<void> {
    await this.#switchTo(client, onAnswer);
    await this.#watch?.during(() => this.#exec(messages, onAnswer));
    client.isSuspect ||= /_timeout/i.test(messages.toString("latin1"));
    if (!client.isSuspect || !isEnd) return;
    // It fails in a failed transaction, which has undone its settings already.
    for (const name of DEADLY_SETTINGS) await this.#send({ query: `set ${name} = 0`, params: [] });
  }

  /** In the client's last turn: undoes what it left, but not what others have. */
  async leave(client: ClientState): Promise<void> {
    await this.#exec(ABORT, () => {});
    this.#clients.delete(client);
    if (this.#current === client) this.#current = null;
    await this.#forgetSession();
    if (this.#clients.size > 0) await this.#run({ query: deallocate(client.prefix), params: [] });
  }

  async #switchTo(client: ClientState | null, onAnswer: (bytes: Buffer) => void): Promise<void> {
    if (this.#current === client) return;
    if (this.#current !== null) {
      const saved = toResult(await this.#send({ query: SAVE, params: [] }));
      // The client that made it fail keeps the settings of its last turn.
      if (!(saved instanceof StatementError)) this.#current.settings = saved.rows[0]?.[0] ?? "";
    }
    this.#current = null;
    await this.#reset();
    if (client === null) return;
    // The client before left an unnamed statement.
    await this.#exec(Buffer.concat([frame("C", "S\0"), frame("S", "")]), () => {});
    const messages = await this.#send({ query: RESTORE, params: [client.settings] });
    const result = toResult(messages);
    if (result instanceof StatementError) throw result;
    for (const message of messages) {
      if (message instanceof protocol.messages.ParameterStatusMessage) {
        onAnswer(frame("S", `${message.parameterName}\0${message.parameterValue}\0`));
      }
    }
    this.#current = client;
  }

  async #exec(messages: Buffer, onAnswer: (bytes: Buffer) => void): Promise<void> {
    await this.#database.execProtocolRawStream(messages, {
      // They stand in PGlite's own memory.
      onRawData: (bytes) => onAnswer(Buffer.from(bytes)),
    });
  }

  async #forgetSession(): Promise<void> {
    if (this.isInTransaction) await this.#run({ query: "rollback", params: [] });
    if (this.#clients.size === 0) await this.#run({ query: "discard all", params: [] });
    else if (this.#current === null) await this.#reset();
  }

  async #reset(): Promise<void> {
    await this.#run({ query: "reset session authorization", params: [] });
    await this.#run({ query: "reset all", params: [] });
  }

  async #run(statement: Statement): Promise<StatementResult> {
    const result = toResult(await this.#send(statement));
    if (result instanceof StatementError) throw result;
    return result;
  }

  /** By the extended protocol, as Neon does. */
  async #send({ query, params }: Statement): Promise<Messages> {
    const { serialize } = protocol;
    const closeOwn = serialize.close({ type: "S", name: OWN });
    const request = Buffer.concat([
      // One that failed has left it.
      closeOwn,
      serialize.parse({ name: OWN, text: query }),
      serialize.bind({ statement: OWN, values: params.map(toText) }),
      serialize.describe({ type: "P" }),
      serialize.execute({}),
      closeOwn,
      serialize.sync(),
    ]);
    return this.#database.execProtocolStream(request, { throwOnError: false });
  }
}

type Messages = Awaited<ReturnType<PGlite["execProtocolStream"]>>;

function toResult(messages: Messages): StatementResult | StatementError {
  let tag = "";
  let fields: StatementResult["fields"] = [];
  const rows: (string | null)[][] = [];
  for (const message of messages) {
    if (message instanceof protocol.messages.DatabaseError) return toStatementError(message);
    if (message instanceof protocol.messages.RowDescriptionMessage) {
      fields = message.fields.map(({ name, dataTypeID }) => ({ name, dataTypeID }));
    }
    if (message instanceof protocol.messages.DataRowMessage) rows.push(message.fields);
    if (message instanceof protocol.messages.CommandCompleteMessage) tag = message.text;
  }
  return { ...readCommandTag(tag), fields, rows, rowAsArray: true };
}

/** Closes the prepared statements whose names begin with the prefix, a word of letters and digits. */
function deallocate(prefix: string): string {
  return `do $$
    declare statement text;
    begin
      for statement in
        select name from pg_catalog.pg_prepared_statements where starts_with(name, '${prefix}')
      loop
        execute format('deallocate %I', statement);
      end loop;
    end $$`;
}
