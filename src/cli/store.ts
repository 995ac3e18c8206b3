/**
 * Keys and domains in Postgres: all of the command line's SQL, with values as parameters only. Rows are
 * parsed, never cast.
 */
import * as v from "valibot";
import { UserError } from "../local/fail.ts";
import { NoAnswerError, type Database } from "../local/database/database.ts";
import { DOMAIN_COLUMNS, DomainRowSchema, type DomainRow } from "./domains/domain-row.ts";
import { KeyRowSchema, type KeyRow } from "./keys/key-row.ts";
import type { NewKey } from "./keys/make-key.ts";
import { instant } from "./instant.ts";
import type { Expiry } from "./input/parse-expiry.ts";

/** A date that RFC 3339 has; "infinity" and what Postgres has beyond its years is none. */
function dateColumn(expression: string, name: string): string {
  const date = `(${expression})::timestamptz`;
  return `${instant(`case when ${date} between '0001-01-02Z' and '9999-12-31Z' then ${date} end`)} as "${name}"`;
}

/**
 * A key's columns, of a row of `table`, each read whatever it is: one odd row must not hide the others. Its last use is
 * looked for in all of the row: a database on which schema.sql was not run again has no such column. Of what should be
 * a hint and is not, since no trigger was there when it came, no more is shown than a hint has.
 */
function keyColumns(table: string): string {
  return `id::text, coalesce(domain::text, '') as domain, case when apikey ~ '^.{0,4}…$' then apikey
      when length(apikey) >= 16 then left(apikey, 4) || '…' when apikey <> '' then '…' else '' end as hint,
  username::text, ${dateColumn("insert_ts", "createdAt")}, ${dateColumn("expires_at", "expiresAt")},
  ${dateColumn("revoked_at", "revokedAt")},
  ${dateColumn(`to_jsonb(${table}) ->> 'last_used_at'`, "lastUsedAt")}, case
    when revoked_at is not null then 'revoked'
    when expires_at <= now() then 'expired'
    -- Without a hash it opens nothing.
    when active and apikey_hash is not null then 'live' else 'inactive' end as state`;
}

const KEY_COLUMNS = keyColumns("apikeys");

const LIST_KEYS = `select ${KEY_COLUMNS} from apikeys
  where $1::text is null or domain = $1 order by apikeys.domain, apikeys.id`;

const FIND_KEY = `select ${KEY_COLUMNS} from apikeys where id = $1`;

/** A date, or a time from now by the database's clock; neither: never. */
const EXPIRY = `coalesce($1::timestamptz, now() + make_interval(secs => $2::float8))`;

const CREATE_KEY = `insert into apikeys (expires_at, apikey, apikey_hash, domain, username, active)
  values (${EXPIRY}, $3, $4, $5, $6, $7) returning ${KEY_COLUMNS}`;

/** Also where no unique index would refuse it. */
const IMPORT_KEY = `insert into apikeys (expires_at, apikey, apikey_hash, domain, username, active)
  select ${EXPIRY}, $3, $4, $5, $6, $7::boolean where not exists (select from apikeys where apikey_hash = $4)
  returning ${KEY_COLUMNS}`;

const FIND_KEY_BY_HASH = `select ${KEY_COLUMNS} from apikeys where apikey_hash = $1`;

const ROTATE_KEY = `with retired as (
    update apikeys set expires_at = least(expires_at, now() + make_interval(secs => $6::float8))
    where id = $5 and revoked_at is null
      and ($7 or active and (expires_at is null or expires_at > now())) returning *
  ), created as (
    insert into apikeys (expires_at, apikey, apikey_hash, domain, username, active)
    select ${EXPIRY}, $3, $4, domain, username, true from retired returning *
  )
  select ${keyColumns("created")} from created
  union all select ${keyColumns("retired")} from retired`;

const REVOKE_KEY = `update apikeys set revoked_at = coalesce(revoked_at, now())
  where id = $1 and ($2::text is null or domain = $2) returning ${KEY_COLUMNS}`;

const SET_ACTIVE = `update apikeys set active = $2
  where id = $1 and (revoked_at is null or not $2) returning ${KEY_COLUMNS}`;

const FIND_DOMAIN = `select ${DOMAIN_COLUMNS.join(", ")} from domains where domain = $1`;

/** Of the secret before the old one only whether it was still good. */
const ROTATE_SECRET = `update domains set token_secret = $4, token_secret_expires_at = ${EXPIRY},
    token_secret_previous = case when $5::float8 > 0 then token_secret end,
    token_secret_previous_expires_at = case when $5::float8 > 0
      then least(token_secret_expires_at, now() + make_interval(secs => $5::float8)) end
  from (
    select domain as name, token_secret_previous is not null
      and coalesce(token_secret_previous_expires_at > now(), true) as "hadAnother" from domains
  ) before
  where domain = $3 and name = domain and token_secret is not null
  returning ${DOMAIN_COLUMNS.join(", ")}, "hadAnother"`;

/** What is stored beside a new key. */
export interface KeyDetails {
  readonly domain: string;
  readonly username: string | null;
  readonly active: boolean;
  readonly expiry: Expiry | null;
}

/**
 * The key store as the command line needs it; throws a UserError when it refuses, a NoAnswerError when it cannot be
 * asked.
 */
export class Store {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** The keys of a domain, or of all; and what stands in the place of the number of those that cannot be read. */
  async listKeys(domain: string | null): Promise<{ keys: KeyRow[]; unreadable: string[] }> {
    const list: { keys: KeyRow[]; unreadable: string[] } = { keys: [], unreadable: [] };
    for (const row of await this.#database.query(LIST_KEYS, [domain])) {
      const key = v.safeParse(KeyRowSchema, row);
      if (key.success) list.keys.push(key.output);
      else list.unreadable.push(String(row["id"]));
    }
    return list;
  }

  /** The key of a number, `null` if there is none. */
  async findKey(id: number): Promise<KeyRow | null> {
    return firstOf(await this.#keys(FIND_KEY, [id]));
  }

  /** The same of a hash. */
  async findKeyByHash(hash: string): Promise<KeyRow | null> {
    return firstOf(await this.#keys(FIND_KEY_BY_HASH, [hash]));
  }

  /** Stores a new key; the row tells what became of it. */
  async createKey(key: NewKey, about: KeyDetails): Promise<KeyRow> {
    const created = firstOf(await this.#keys(CREATE_KEY, newKeyParams(key, about)));
    if (created === null) {
      throw new NoAnswerError(
        "Postgres kept no row: see to triggers and rules of the table apikeys",
      );
    }
    return created;
  }

  /** Stores a key that may be there already, of whatever domain: that one is given then, and nothing changed. */
  async importKey(
    key: NewKey,
    about: KeyDetails,
  ): Promise<{ readonly isNew: boolean; readonly row: KeyRow }> {
    const created = firstOf(await this.#keys(IMPORT_KEY, newKeyParams(key, about)));
    if (created !== null) return { isNew: true, row: created };
    const known = await this.findKeyByHash(key.hash);
    if (known === null) throw new UserError("The key was removed just now: run it again");
    return { isNew: false, row: known };
  }

  /**
   * Stores a key beside another that is to end; `null` if that one is revoked or not there, or opens nothing and
   * `isForced` does not say that it is to be all the same.
   */
  async rotateKey(
    id: number,
    key: NewKey,
    rotation: {
      readonly overlapSeconds: number;
      readonly expiry: Expiry | null;
      readonly isForced: boolean;
    },
  ): Promise<{ readonly created: KeyRow; readonly retired: KeyRow } | null> {
    const { overlapSeconds, expiry, isForced } = rotation;
    const params = [...expiryParams(expiry), key.hint, key.hash, id, overlapSeconds, isForced];
    const rows = await this.#keys(ROTATE_KEY, params);
    const retired = rows.find((row) => row.id === id);
    const created = rows.find((row) => row.id !== id);
    return retired && created ? { created, retired } : null;
  }

  /** Revokes a key; `null` if it is not there, or not of the domain that is given. */
  async revokeKey(id: number, domain: string | null): Promise<KeyRow | null> {
    return firstOf(await this.#keys(REVOKE_KEY, [id, domain]));
  }

  /** Switches a key on or off; `null` if it is not there, or revoked and to be switched on. */
  async setActive(id: number, active: boolean): Promise<KeyRow | null> {
    return firstOf(await this.#keys(SET_ACTIVE, [id, active]));
  }

  /** A domain's row, `null` if it has none. */
  async findDomain(domain: string): Promise<DomainRow | null> {
    const [row] = await this.#database.query(FIND_DOMAIN, [domain]);
    return row === undefined ? null : read(DomainRowSchema, row);
  }

  /** Changes columns of a domain's row, which is made if need be; their names are the schema's. */
  async setDomain(domain: string, values: ReadonlyMap<string, unknown>): Promise<DomainRow> {
    const columns = [...values.keys()];
    const places = columns.map((_, i) => `$${i + 2}`);
    const changes = columns.map((column) => `${column} = excluded.${column}`);
    const [row] = await this.#database.query(
      `insert into domains (domain, ${columns.join(", ")}) values ($1, ${places.join(", ")})
         on conflict (domain) do update set ${changes.join(", ")}
         returning ${DOMAIN_COLUMNS.join(", ")}`,
      [domain, ...values.values()],
    );
    return read(DomainRowSchema, row);
  }

  /** Stores a secret in place of another, which ends after the overlap; `null` where the domain has none. */
  async rotateSecret(
    domain: string,
    secret: string,
    times: { readonly overlapSeconds: number; readonly expiry: Expiry | null },
  ): Promise<{ readonly row: DomainRow; readonly hasEndedAnother: boolean } | null> {
    const params = [...expiryParams(times.expiry), domain, secret, times.overlapSeconds];
    const [row] = await this.#database.query(ROTATE_SECRET, params);
    if (row === undefined) return null;
    return { row: read(DomainRowSchema, row), hasEndedAnother: row["hadAnother"] === true };
  }

  async #keys(text: string, params: readonly unknown[]): Promise<KeyRow[]> {
    return read(v.array(KeyRowSchema), await this.#database.query(text, params));
  }
}

/** Somebody has changed the tables: says where, and nothing of what is there. */
function read<T>(schema: v.GenericSchema<unknown, T>, found: unknown): T {
  const result = v.safeParse(schema, found);
  if (result.success) return result.output;
  const places = result.issues.map((issue) => v.getDotPath(issue) ?? "the row");
  throw new UserError(
    `Postgres has a row that cannot be read (${places.join(", ")}): npm run db:apply says what is wrong with its table`,
  );
}

function firstOf(rows: KeyRow[]): KeyRow | null {
  return rows[0] ?? null;
}

function newKeyParams(key: NewKey, { domain, username, active, expiry }: KeyDetails): unknown[] {
  return [...expiryParams(expiry), key.hint, key.hash, domain, username, active];
}

function expiryParams(expiry: Expiry | null): [string | null, number | null] {
  switch (expiry?.type) {
    case undefined:
      return [null, null];
    case "at":
      return [expiry.date.toISOString(), null];
    case "after":
      return [null, expiry.seconds];
  }
}
