/**
 * One run of the command line: its global options, where it talks to, and where its words go. Opens the
 * store and the hub only for commands that need them.
 */
import type { Command } from "commander";
import { Database } from "../local/database/database.ts";
import { UserError } from "../local/fail.ts";
import { DEFAULT_STATE } from "../local/dev-options.ts";
import { isSameHub } from "../local/same-place.ts";
import { findPlaces, type Places } from "./find-places.ts";
import { Hub } from "./hub.ts";
import type { Output } from "./output/output.ts";
import { printable, printableJson } from "./output/printable.ts";
import { Store } from "./store.ts";

/** What every command can rely on. */
export class Session {
  readonly #program: Command;
  readonly #output: Output;
  #places: Places | null = null;
  #database: Database | null = null;

  constructor(program: Command, output: Output) {
    this.#program = program;
    this.#output = output;
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
    throw new UserError(`${hub.error}: see .dev.vars and the environment`);
  }

  /** The hub's admin routes, or why they cannot be used. */
  findHub(): Hub | string {
    const { hub } = this.#findPlaces();
    return hub.ok ? new Hub(hub.value) : hub.error;
  }

  /** The hub's URL, for what needs no admin token; throws a UserError where no hub is known. */
  get hubUrl(): string {
    const url = this.findHubUrl();
    if (url !== null) return url;
    throw new UserError(
      "HUB_URL is missing: put it into .dev.vars or into the environment, or start npm run dev",
    );
  }

  /** The same, `null` where no hub is known. */
  findHubUrl(): string | null {
    return this.#findPlaces().hubUrl;
  }

  /** Whether the hub has the keys of `npm run dev`, which everybody knows. */
  get hasTestKeys(): boolean {
    return this.#findPlaces().hasTestKeys;
  }

  /** Whether a URL is that of the hub which is set. */
  isSetHub(url: string): boolean {
    const set = this.findHubUrl();
    return set !== null && isSameHub(set, url);
  }

  /** The admin token of a hub, `null` where it is another's or not known. */
  findAdminToken(url: string): string | null {
    const { hub } = this.#findPlaces();
    return hub.ok && this.isSetHub(url) ? hub.value.adminToken : null;
  }

  /** Whether stdout is for scripts. */
  get isJson(): boolean {
    return this.#program.getOptionValue("json") === true;
  }

  /** Prints a part of what goes on and on; throws an OutputError where it is not taken, and waits until it is. */
  write(data: string | Uint8Array): Promise<void> {
    return this.#output.write(data);
  }

  /** Prints what was asked for: `value` for scripts, or the text for people, a line or several. */
  print(value: unknown, text: string | readonly string[]): void {
    const lines = this.isJson ? [printableJson(value)] : [text].flat().map(printable);
    this.#output.print(`${lines.join("\n")}\n`);
  }

  /** Prints what nobody sees again; throws an OutputError where it was not taken, be it that nobody reads any more. */
  async printOnce(value: unknown, text: string): Promise<void> {
    this.print(value, text);
    await this.#output.flush();
  }

  /** Says something beside it, in one line. */
  note(line: string): void {
    this.#output.note(`${printable(line)}\n`);
  }

  /** Says how far something is, on a line of stderr that the next word replaces; for terminals. */
  overwrite(line: string): void {
    this.#output.note(`\r${printable(line)}\u001b[K`);
  }

  #findPlaces(): Places {
    const state: unknown = this.#program.getOptionValue("state");
    this.#places ??= findPlaces(typeof state === "string" ? state : DEFAULT_STATE);
    return this.#places;
  }
}
