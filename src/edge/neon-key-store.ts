/**
 * The key store in Postgres, over Neon's HTTP protocol: the hub's only SQL and the only use of the Neon
 * driver. Rows are parsed, never cast. Invariant: no query outlasts its timeout, and none leaves a timer.
 */
import { neon, neonConfig, NeonDbError } from "@neondatabase/serverless";
import * as v from "valibot";
import type { DatabaseUrl } from "../core/database-url.ts";
import { columnOf, POLICY_FIELDS } from "../core/policy.ts";
import {
  NO_ANSWER,
  QUERY_TIMEOUT_MS,
  type KeyStore,
  type Sight,
  type Unavailable,
  type Unreadable,
} from "./key-store.ts";
import { readDomain, readGrant, readKeys, readRevoked } from "./key-store-rows.ts";

/** Looks in the time of a query. */
const TIMER_STEPS = 20;
const NO_CONNECTION = "No connection to the database";

/** Postgres's own clock. It is read after the row is: what it is newer than was not overlooked. */
const CLOCK = `(extract(epoch from clock_timestamp()) * 1000)::float8 as "atMs"`;

/** Whether the domain has a row at all, and its policy by the names of the fields. */
const POLICY_OF_ROW = [
  `d.domain is not null as "hasRow"`,
  ...POLICY_FIELDS.map((field) => `d.${columnOf(field)} as "${field}"`),
].join(", ");

/**
 * What is too far away for an alarm ("This API doesn't support dates after 2189"), such as "infinity", is never.
 * What is over for longer than RFC 3339 has years for, such as "-infinity", is over since 1970.
 */
function endOf(column: string, name: string): string {
  return `case when ${column} < timestamptz '2100-01-01'
  then (extract(epoch from greatest(${column}, timestamptz 'epoch')) * 1000)::float8
  end as "${name}"`;
}

const EXPIRY_COLUMN = endOf("k.expires_at", "expiresAtMs");

/** Served by the unique index on `apikey_hash`. */
const CHECK_KEY = `select k.id as "keyId", ${EXPIRY_COLUMN}, ${POLICY_OF_ROW}, ${CLOCK}
  from apikeys k left join domains d on d.domain = k.domain
  where k.apikey_hash = $1 and k.domain = $2 and k.active and k.revoked_at is null
    and (k.expires_at is null or k.expires_at > now())`;

/**
 * There is a row even where there is no domain: the clock must come with every answer. The key is found by the index
 * on `domain`.
 */
const FIND_DOMAIN = `select ${POLICY_OF_ROW}, d.token_issuer as "tokenIssuer",
  d.token_secret as "tokenSecret", ${endOf("d.token_secret_expires_at", "tokenSecretExpiresAtMs")},
  d.token_secret_previous as "tokenSecretPrevious",
  ${endOf("d.token_secret_previous_expires_at", "tokenSecretPreviousExpiresAtMs")},
  d.token_keys as "tokenKeys",
  exists (select from apikeys k where k.domain = $1) as "hasKey", ${CLOCK}
  from (select 1) one left join domains d on d.domain = $1`;

const KEY_COLUMNS = `k.id as "keyId", ${EXPIRY_COLUMN}, case
    when k.id is null then null
    when k.revoked_at is not null then 'revoked'
    when k.expires_at <= now() then 'expired'
    when k.active then 'live' else 'inactive' end as "state"`;

const FIND_KEYS = `select ${KEY_COLUMNS}, ${POLICY_OF_ROW}, ${CLOCK}
  from (select 1) one left join domains d on d.domain = $1
    left join apikeys k on k.domain = $1 and k.id = any($2::int[])`;

const REVOKE_KEY = `with k as (
    update apikeys set revoked_at = coalesce(revoked_at, now()) where domain = $1 and id = $2
    returning *
  ) select ${KEY_COLUMNS}, ${CLOCK} from (select 1) one left join k on true`;

/** One write a key and day, however many ask. A row that is locked is being changed: neither waits for the other. */
const NOTE_USES = `with k as (
    select id from apikeys where id = any($1::int[])
      and (last_used_at is null or last_used_at < date_trunc('day', now(), 'UTC'))
    for no key update skip locked
  ) update apikeys set last_used_at = now() from k where apikeys.id = k.id`;

/** Finds nothing, and names every table and column that the hub reads. */
const PROBE = `with found_key as (${CHECK_KEY}), found_domain as (${FIND_DOMAIN})
  select exists (select from found_key) or exists (select from found_domain) as "isReady"`;

/** What comes of it where schema.sql was not applied, or an older one: undefined_table, undefined_column. */
const UNPREPARED: ReadonlySet<string> = new Set(["Postgres error 42P01", "Postgres error 42703"]);

type Row = Record<string, unknown>;
type Asked<T> = Promise<T | Unreadable | Unavailable>;

/** Opens the store; nothing is connected until it is asked. `onSight` hears what came of every question. */
export function neonKeyStore(
  database: DatabaseUrl,
  onSight: (sight: Sight) => void = () => {},
): KeyStore {
  // The driver has this setting for all databases at once; a Worker has only the one.
  if (database.endpoint !== null) neonConfig.fetchEndpoint = database.endpoint;

  async function ask<T>(text: string, params: unknown[], read: (rows: Row[]) => T): Asked<T> {
    const rows = await fetchRows(database.url, text, params);
    onSight({ atMs: Date.now(), fault: "type" in rows ? rows.reason : null });
    return readRows(rows, read);
  }

  /** That a role may not write is no news of the store: `onSight` does not hear of it. */
  async function write<T>(text: string, params: unknown[], read: (rows: Row[]) => T): Asked<T> {
    return readRows(await fetchRows(database.url, text, params), read);
  }

  return {
    checkKey: (keyHash, domain) =>
      ask(CHECK_KEY, [keyHash, domain], ([row]) =>
        row === undefined ? ({ type: "denied" } as const) : readGrant(row),
      ),
    findDomain: (domain) => ask(FIND_DOMAIN, [domain], readDomain),
    findKeys: (domain, keyIds) => ask(FIND_KEYS, [domain, `{${keyIds.join(",")}}`], readKeys),
    revokeKey: (domain, keyId) => write(REVOKE_KEY, [domain, keyId], readRevoked),
    noteUses: (keyIds) =>
      write(NOTE_USES, [`{${keyIds.join(",")}}`], () => ({ type: "done" }) as const),
    probe: async () => {
      const probed = await ask(PROBE, ["", ""], () => ({ type: "ready" }) as const);
      return probed.type !== "ready" && UNPREPARED.has(probed.reason)
        ? { type: "unprepared", reason: probed.reason }
        : probed;
    },
  };
}

function readRows<T>(
  rows: { readonly rows: Row[] } | Unavailable,
  read: (rows: Row[]) => T,
): T | Unreadable | Unavailable {
  if ("type" in rows) return rows;
  try {
    return read(rows.rows);
  } catch (error) {
    // A row that schema.sql does not allow; anything else is a bug.
    if (!(error instanceof v.ValiError)) throw error;
    return { type: "unreadable", reason: describeRow(error) };
  }
}

async function fetchRows(
  url: string,
  text: string,
  params: unknown[],
): Promise<{ readonly rows: Row[] } | Unavailable> {
  const cutOff = new AbortController();
  const timer = startTimer(() =>
    cutOff.abort(new DOMException("The query took too long", "TimeoutError")),
  );
  try {
    const sql = neon(url, { fetchOptions: { signal: cutOff.signal } });
    return { rows: await sql.query(text, params) };
  } catch (error) {
    // A network or database failure (NeonDbError), or an answer that is not the protocol's. How a query that is cut off
    // fails depends on how far its answer had come.
    if (cutOff.signal.aborted) return NO_ANSWER;
    return { type: "unavailable", reason: describeFailure(error) };
  } finally {
    timer.stop();
  }
}

/**
 * Ends when a query has had its time. In steps, so that it stands still while the isolate is busy with other requests:
 * an answer may have come, and nobody had the time to look. Not `AbortSignal.timeout`, whose timer stays after the
 * answer is there.
 */
function startTimer(onEnd: () => void): { stop(): void } {
  let steps = 0;
  const timer = setInterval(() => {
    steps += 1;
    if (steps < TIMER_STEPS) return;
    clearInterval(timer);
    onEnd();
  }, QUERY_TIMEOUT_MS / TIMER_STEPS);
  return { stop: () => clearInterval(timer) };
}

/** Which columns are at fault, without their values. */
function describeRow(error: v.ValiError<v.GenericSchema>): string {
  const fields = error.issues.map((issue) => v.getDotPath(issue) ?? "row");
  return `Unexpected row: ${[...new Set(fields)].join(", ")}`;
}

/** One text for one cause, without values: a message could quote the connection string. */
function describeFailure(error: unknown): string {
  if (!(error instanceof NeonDbError)) {
    // The runtime's words where the connection breaks in the middle of an answer.
    const isLost = error instanceof Error && /connection/i.test(error.message);
    return isLost ? NO_CONNECTION : "The answer is not the protocol's";
  }
  if (error.code !== undefined) return `Postgres error ${error.code}`;
  if (error.sourceError !== undefined) return NO_CONNECTION;
  const [, status] = /^Server error \(HTTP status (\d{3})\)/.exec(error.message) ?? [];
  return status === undefined
    ? "The endpoint refused the query"
    : `The endpoint answered ${status}`;
}
