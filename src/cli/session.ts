/**
 * One run of the command line: its global options, where it talks to, and where its words go. Opens the
 * store and the hub only for commands that need them.
 */
import type { Command } from "commander";
import { Database } from "../local/database/database.ts";
import { UserError } from "../local/fail.ts";
import { DEFAULT_STATE } from "../local/dev-options.ts";
import { findPlaces, type Places } from "./find-places.ts";
import { Hub } from "./hub.ts";
import { Store } from "./store.ts";

/** What every command can rely on. */
export class Session {
  readonly #program: Command;
  #places: Places | null = null;
  #database: Database | null = null;

  constructor(program: Command) {
    this.#program = program;
    // A command that throws ends the process.
    program.hook("postAction", () => this.#database?.close());
  }

  /** The key store; throws a UserError where none is known. */
  get store(): Store {
    const store = this.findStore();
    if (store !== null) return store;
    throw new UserError(
      "DATABASE_URL is missing: put it into .dev.vars or into the environment, or start npm run dev",
    );
  }

  /** The key store, `null` where none is known. */
  findStore(): Store | null {
    const { database } = this.#findPlaces();
    if (database === null) return null;
    this.#database ??= new Database(database);
    return new Store(this.#database);
  }

  /** The hub's admin routes; throws a UserError where no hub is known. */
  get hub(): Hub {
    const { hub } = this.#findPlaces();
    if (hub.ok) return new Hub(hub.value);
    throw new UserError(`${hub.error}: put them into .dev.vars or into the environment`);
  }

  /** The hub's admin routes, or why they cannot be used. */
  findHub(): Hub | string {
    const { hub } = this.#findPlaces();
    return hub.ok ? new Hub(hub.value) : hub.error;
  }

  /** Prints what was asked for: `value` for scripts, or the text for people. */
  print(value: unknown, text: string): void {
    const isJson = this.#program.getOptionValue("json") === true;
    console.log(isJson ? JSON.stringify(value, null, 2) : text);
  }

  /** Says something beside it. */
  note(text: string): void {
    console.error(text);
  }

  #findPlaces(): Places {
    const state: unknown = this.#program.getOptionValue("state");
    this.#places ??= findPlaces(typeof state === "string" ? state : DEFAULT_STATE);
    return this.#places;
  }
}
