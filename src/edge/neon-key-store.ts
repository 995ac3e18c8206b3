/**
 * The key store in Postgres, over Neon's HTTP protocol: the hub's only SQL and the only use of the Neon
 * driver. Rows are parsed, never cast.
 */
import { neon, neonConfig, NeonDbError } from "@neondatabase/serverless";
import * as v from "valibot";
import type { DatabaseUrl } from "../core/database-url.ts";
import { DEFAULT_POLICY, PolicySchema, type Policy } from "../core/policy.ts";
import { NO_TOKENS, TokenSettingsSchema } from "../core/token-settings.ts";
import type { KeyRecord, KeysLookup, KeyStore, Unavailable } from "./key-store.ts";

/** Milliseconds until a query counts as unanswered: a client waits for it. */
const QUERY_TIMEOUT_MS = 2000;

/** The members of a Policy, and whether the domain has a row at all. */
const POLICY_COLUMNS = `d.domain is not null as "hasRow", d.publishers,
  d.grace_seconds as "graceSeconds", d.history_messages as "historyMessages",
  d.history_seconds as "historySeconds", d.subscribers, d.max_message_bytes as "maxMessageBytes",
  d.max_backlog_bytes as "maxBacklogBytes", d.path_keys as "pathKeys",
  d.messages_per_second as "messagesPerSecond", d.max_publishers as "maxPublishers",
  d.max_subscribers as "maxSubscribers"`;

/** What is too far away for an alarm ("This API doesn't support dates after 2189"), such as "infinity", is never. */
const EXPIRY_COLUMN = `case when k.expires_at < timestamptz '2100-01-01'
  then (extract(epoch from k.expires_at) * 1000)::float8 end as "expiresAtMs"`;

/** Served by the unique index on `apikey_hash`. */
const CHECK_KEY = `select k.id as "keyId", ${EXPIRY_COLUMN}, ${POLICY_COLUMNS}
  from apikeys k left join domains d on d.domain = k.domain
  where k.apikey_hash = $1 and k.domain = $2 and k.active and k.revoked_at is null
    and (k.expires_at is null or k.expires_at > now())`;

const FIND_DOMAIN = `select ${POLICY_COLUMNS}, d.token_issuer as "tokenIssuer",
  d.token_secret as "tokenSecret", d.token_keys as "tokenKeys" from domains d where d.domain = $1`;

const KEY_COLUMNS = `k.id as "keyId", ${EXPIRY_COLUMN}, case
    when k.revoked_at is not null then 'revoked'
    when k.expires_at <= now() then 'expired'
    when k.active then 'live' else 'inactive' end as "state"`;

const FIND_KEYS = `select ${KEY_COLUMNS} from apikeys k where k.domain = $1 and k.id = any($2::int[])`;

const REVOKE_KEY = `update apikeys k set revoked_at = coalesce(k.revoked_at, now())
  where k.domain = $1 and k.id = $2 returning ${KEY_COLUMNS}`;

const HasRowSchema = v.object({ hasRow: v.boolean() });

const KeySchema = v.object({ keyId: v.number(), expiresAtMs: v.nullable(v.number()) });

const KeyRecordSchema: v.GenericSchema<unknown, KeyRecord> = v.object({
  ...KeySchema.entries,
  state: v.picklist(["revoked", "expired", "inactive", "live"]),
});

/** Opens the store; nothing is connected until it is asked. */
export function neonKeyStore(database: DatabaseUrl): KeyStore {
  // The driver has this setting for all databases at once; a Worker has only the one.
  if (database.endpoint !== null) neonConfig.fetchEndpoint = database.endpoint;

  /** Runs a query and reads its rows; whatever goes wrong on the way is `unavailable`. */
  async function query<T>(
    text: string,
    params: unknown[],
    read: (rows: Record<string, unknown>[]) => T,
  ): Promise<T | Unavailable> {
    try {
      const sql = neon(database.url, {
        fetchOptions: { signal: AbortSignal.timeout(QUERY_TIMEOUT_MS) },
      });
      return read(await sql.query(text, params));
    } catch (error) {
      // A network or database failure (NeonDbError), or a row that schema.sql does not allow (ValiError).
      return { type: "unavailable", reason: describeFailure(error) };
    }
  }

  return {
    checkKey: (keyHash, domain) =>
      query(CHECK_KEY, [keyHash, domain], ([row]) =>
        row === undefined
          ? { type: "denied" }
          : { type: "granted", ...v.parse(KeySchema, row), policy: policyOf(row) },
      ),
    findDomain: (domain) =>
      query(FIND_DOMAIN, [domain], ([row]) =>
        row === undefined
          ? { type: "found", policy: DEFAULT_POLICY, tokens: NO_TOKENS }
          : { type: "found", policy: policyOf(row), tokens: v.parse(TokenSettingsSchema, row) },
      ),
    findKeys: (domain, keyIds) => query(FIND_KEYS, [domain, `{${keyIds.join(",")}}`], readKeys),
    revokeKey: (domain, keyId) => query(REVOKE_KEY, [domain, keyId], readKeys),
  };
}

function policyOf(row: Record<string, unknown>): Policy {
  const { hasRow } = v.parse(HasRowSchema, row);
  return hasRow ? v.parse(PolicySchema, row) : DEFAULT_POLICY;
}

function readKeys(rows: Record<string, unknown>[]): KeysLookup {
  return { type: "found", keys: v.parse(v.array(KeyRecordSchema), rows) };
}

/** A cause without values: a message could quote the connection string or a row. */
function describeFailure(error: unknown): string {
  if (error instanceof v.ValiError) {
    const fields = error.issues.map((issue) => v.getDotPath(issue) ?? "row");
    return `Unexpected row: ${fields.join(", ")}`;
  }
  if (!(error instanceof NeonDbError)) return error instanceof Error ? error.name : typeof error;
  if (error.code !== undefined) return `Postgres error ${error.code}`;
  const cause = error.sourceError;
  return cause?.name === "TimeoutError"
    ? `No answer within ${QUERY_TIMEOUT_MS} ms`
    : "No connection to the database";
}
