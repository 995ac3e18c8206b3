/**
 * A Postgres behind Neon's HTTP protocol, for the edge's unit tests: tells the hub's queries apart and answers
 * out of memory. Knows no SQL: that the queries say what they mean is for the tests of integration.
 */
import { onTestFinished, vi } from "vitest";

/** A key's row. */
export interface FakeKey {
  readonly keyId: number;
  readonly text: string;
  readonly domain: string;
  state: "revoked" | "expired" | "inactive" | "live";
  expiresAtMs: number | null;
}

/** Which of the queries. */
export type Query =
  | "check-key"
  | "find-domain"
  | "find-keys"
  | "revoke-key"
  | "note-uses"
  | "probe";

type Cell = string | number | boolean | object | null;
type Row = Record<string, Cell>;

const DOMAIN_ROW: Row = {
  hasRow: true,
  publishers: "exclusive",
  graceSeconds: 10,
  historyMessages: 0,
  historySeconds: 0,
  historyDelayMs: 55,
  subscribers: "open",
  tokenPublishers: false,
  maxMessageBytes: 1_048_576,
  maxBacklogBytes: 1_048_576,
  pathKeys: true,
  messagesPerSecond: null,
  maxPublishers: null,
  maxSubscribers: null,
  maxTopics: 100_000,
  tokenIssuer: null,
  tokenSecret: null,
  tokenSecretExpiresAtMs: null,
  tokenSecretPrevious: null,
  tokenSecretPreviousExpiresAtMs: null,
  tokenKeys: null,
};

let opened = 0;

/** The database, for the length of a test. */
export class FakePostgres {
  /** What `DATABASE_URL` must be; no other test has the same, so none shares caches. */
  readonly url: string;
  readonly keys: FakeKey[] = [];
  /** Columns that differ from the defaults, by domain. */
  readonly domains: Map<string, Row> = new Map();
  /** The queries that were asked, in order. */
  readonly asked: Query[] = [];
  /** The keys whose uses it was asked to note, as they came; such queries are not among `asked`. */
  readonly uses: string[] = [];
  /** Whether it notes uses. */
  takesNotes = true;
  /** Its clock. */
  nowMs = 1_800_000_000_000;
  /** Nobody can connect. */
  isDown = false;
  /** The SQLSTATE that it refuses every query with. */
  refusal: string | null = null;
  /** What an answer waits for, once it has been worked out. */
  delay: (signal: AbortSignal | null) => Promise<void> = () => Promise.resolve();

  constructor() {
    opened += 1;
    this.url = `postgres://user:password@localhost:${1000 + opened}/hub`;
    const spy = vi.spyOn(globalThis, "fetch").mockImplementation(this.#fetch);
    onTestFinished(() => spy.mockRestore());
  }

  /** An environment that names it. */
  env(base: Env): Env {
    return { ...base, DATABASE_URL: this.url };
  }

  /** Adds a key that opens. */
  addKey(key: Pick<FakeKey, "keyId" | "text" | "domain">): FakeKey {
    const added: FakeKey = { ...key, state: "live", expiresAtMs: null };
    this.keys.push(added);
    return added;
  }

  readonly #fetch: typeof fetch = async (_, init) => {
    if (typeof init?.body !== "string") throw new Error("Nobody else calls fetch here");
    const { query, params } = JSON.parse(init.body) as { query: string; params: string[] };
    const kind = kindOf(query);
    if (kind === "note-uses") this.uses.push(params[0] ?? "");
    else this.asked.push(kind);
    if (this.isDown || (kind === "note-uses" && !this.takesNotes))
      throw new TypeError("Network connection lost.");
    if (this.refusal !== null) {
      const body = { message: `relation "secret" does not exist`, code: this.refusal };
      return Response.json(body, { status: 400 });
    }
    const rows = await this.#answer(kind, params);
    await this.delay(init?.signal ?? null);
    const names = Object.keys(rows[0] ?? {});
    return Response.json({
      command: "SELECT",
      rowCount: rows.length,
      fields: names.map((name) => ({ name, dataTypeID: typeOf(rows, name) })),
      rows: rows.map((row) => names.map((name) => textOf(row[name] ?? null))),
      rowAsArray: true,
    });
  };

  async #answer(kind: Query, [first = "", second = ""]: string[]): Promise<Row[]> {
    // Postgres counts microseconds.
    const clock = { atMs: this.nowMs + 0.25 };
    switch (kind) {
      case "check-key": {
        const hashes = await Promise.all(this.keys.map(({ text }) => hash(text)));
        const key = this.keys.find(
          ({ domain, state }, index) =>
            hashes[index] === first && domain === second && state === "live",
        );
        return key === undefined ? [] : [{ ...keyRow(key), ...this.#domain(second), ...clock }];
      }
      case "find-domain":
        return [{ ...this.#domain(first), hasKey: this.#hasKey(first), ...clock }];
      case "find-keys": {
        const ids = second.slice(1, -1).split(",").map(Number);
        const rows = this.keys
          .filter(({ domain, keyId }) => domain === first && ids.includes(keyId))
          .map(keyRow);
        return (rows.length === 0 ? [NO_KEY] : rows).map((row) => ({
          ...row,
          ...this.#domain(first),
          ...clock,
        }));
      }
      case "note-uses":
        return [];
      case "probe":
        return [{ isReady: true }];
      case "revoke-key": {
        const key = this.keys.find((known) => known.domain === first && known.keyId === +second);
        if (key !== undefined) key.state = "revoked";
        return [{ ...(key === undefined ? NO_KEY : keyRow(key)), ...clock }];
      }
    }
  }

  #hasKey(name: string): boolean {
    return this.keys.some(({ domain }) => domain === name);
  }

  #domain(name: string): Row {
    const row = this.domains.get(name);
    if (row !== undefined) return { ...DOMAIN_ROW, ...row };
    const nothing = Object.fromEntries(Object.keys(DOMAIN_ROW).map((column) => [column, null]));
    return { ...nothing, hasRow: false };
  }
}

const NO_KEY: Row = { keyId: null, expiresAtMs: null, state: null };

function keyRow({ keyId, expiresAtMs, state }: FakeKey): Row {
  return { keyId, expiresAtMs, state };
}

function kindOf(query: string): Query {
  if (query.includes("last_used_at")) return "note-uses";
  if (query.includes("found_key")) return "probe";
  if (query.includes("update apikeys")) return "revoke-key";
  if (query.includes("k.apikey_hash = $1")) return "check-key";
  return query.includes("k.id = any($2::int[])") ? "find-keys" : "find-domain";
}

/** The types' numbers in Postgres: bool, float8, jsonb, text. */
function typeOf(rows: readonly Row[], name: string): number {
  const value = rows.map((row) => row[name] ?? null).find((cell) => cell !== null) ?? null;
  const types: Partial<Record<string, number>> = { boolean: 16, number: 701, object: 3802 };
  return (value === null ? undefined : types[typeof value]) ?? 25;
}

function textOf(value: Cell): string | null {
  if (value === null) return null;
  if (typeof value === "boolean") return value ? "t" : "f";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

async function hash(text: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return new Uint8Array(digest).toHex();
}
