/**
 * Postgres as the programs on this machine use it, whichever protocol it speaks. Every query is one statement, so it
 * happens as a whole or not at all. Invariant: no message has a password, or a value of a row.
 */
import type { DatabaseUrl } from "../../core/database-url.ts";
import { UserError } from "../fail.ts";
import { NeonDriver } from "./neon-driver.ts";
import { PgDriver } from "./pg-driver.ts";

/** A row by the names of its columns. */
export type Row = Record<string, unknown>;

/** Speaks to one database, and knows what its failures mean. */
export interface Driver {
  /** Whom it speaks to, for messages. */
  readonly place: string;
  /** Runs a statement; throws whatever its library does. */
  query(text: string, params: readonly unknown[]): Promise<Row[]>;
  explain(cause: unknown): Failure;
  /** Lets the process end; nothing is asked after it. */
  close(): void;
}

/** What went wrong, and what to do. */
export interface Failure {
  /** Postgres itself has refused the statement: it was not carried out. */
  readonly isRefusal: boolean;
  /** A clause. */
  readonly reason: string;
}

/** How to ask. */
export interface DatabaseOptions {
  /** For a statement, with the time that a connection, or a database that sleeps, needs. */
  readonly timeoutMs?: number;
  /** What failed, before the place. */
  readonly failure?: string;
}

const DEFAULT_TIMEOUT_MS = 10_000;

/** Postgres has not answered: whether the statement was carried out is not known. */
export class NoAnswerError extends UserError {}

/** A database; connects when it is first asked. */
export class Database {
  readonly #driver: Driver;
  readonly #failure: string;

  /** Throws a UserError for a URL that its driver cannot use. */
  constructor(
    url: DatabaseUrl,
    { timeoutMs = DEFAULT_TIMEOUT_MS, failure = "Cannot ask Postgres at" }: DatabaseOptions = {},
  ) {
    this.#driver =
      url.speaks === "neon" ? new NeonDriver(url, timeoutMs) : new PgDriver(url, timeoutMs);
    this.#failure = failure;
  }

  /** Runs a statement; throws a UserError that says what the database refused, or a NoAnswerError. */
  async query(text: string, params: readonly unknown[] = []): Promise<Row[]> {
    try {
      return await this.#driver.query(text, params);
    } catch (cause) {
      // Whatever the driver's library throws; the driver knows which.
      const { isRefusal, reason } = this.#driver.explain(cause);
      const message = `${this.#failure} ${this.#driver.place}: ${reason}`;
      throw isRefusal ? new UserError(message, { cause }) : new NoAnswerError(message, { cause });
    }
  }

  /** Lets the process end; nothing is asked after it. */
  close(): void {
    this.#driver.close();
  }
}
