/**
 * The key store: who may publish to a domain, and the domain's policy. The only SQL and the only use
 * of the Neon driver. A store that cannot answer is `unavailable`, which is never "denied".
 */
import { neon, neonConfig, NeonDbError } from "@neondatabase/serverless";
import * as v from "valibot";
import type { DatabaseUrl } from "../core/database-url.ts";
import { DEFAULT_POLICY, PolicySchema, type Policy } from "../core/policy.ts";

/** What the store says of a key. */
export type KeyCheck =
  | { readonly type: "granted"; readonly policy: Policy }
  | { readonly type: "denied" }
  | Unavailable;

/** What the store says of a domain. */
export type PolicyLookup = { readonly type: "found"; readonly policy: Policy } | Unavailable;

/** The store did not answer, or with something it must not say; `reason` is for the log. */
export interface Unavailable {
  readonly type: "unavailable";
  readonly reason: string;
}

/** The port that the edge asks; one query a call. */
export interface KeyStore {
  checkKey(keyHash: string, domain: string): Promise<KeyCheck>;
  findPolicy(domain: string): Promise<PolicyLookup>;
}

/** Milliseconds until a query counts as unanswered: a client waits for it. */
const QUERY_TIMEOUT_MS = 2000;

/** The members of a Policy, and whether the domain has a row at all. */
const POLICY_COLUMNS = `d.domain is not null as "hasRow", d.publishers,
  d.grace_seconds as "graceSeconds", d.history_messages as "historyMessages",
  d.history_seconds as "historySeconds", d.subscribers, d.max_message_bytes as "maxMessageBytes",
  d.max_backlog_bytes as "maxBacklogBytes", d.path_keys as "pathKeys",
   d.messages_per_second as "messagesPerSecond"`;

/** Served by the unique index on `apikey_hash`. */
const CHECK_KEY = `select ${POLICY_COLUMNS} from apikeys k left join domains d on d.domain = k.domain
  where k.apikey_hash = $1 and k.domain = $2 and k.active`;

const FIND_POLICY = `select ${POLICY_COLUMNS} from domains d where d.domain = $1`;

const RowSchema = v.object({ hasRow: v.boolean() });

/** Keys and policies in Postgres, over Neon's HTTP protocol. */
export function neonKeyStore(database: DatabaseUrl): KeyStore {
  // The driver has this setting for all databases at once; a Worker has only the one.
  if (database.endpoint !== null) neonConfig.fetchEndpoint = database.endpoint;
  return {
    async checkKey(keyHash, domain) {
      const answer = await queryPolicy(database, CHECK_KEY, [keyHash, domain]);
      if (answer.type === "none") return { type: "denied" };
      return answer.type === "found" ? { type: "granted", policy: answer.policy } : answer;
    },
    async findPolicy(domain) {
      const answer = await queryPolicy(database, FIND_POLICY, [domain]);
      return answer.type === "none" ? { type: "found", policy: DEFAULT_POLICY } : answer;
    },
  };
}

async function queryPolicy(
  database: DatabaseUrl,
  query: string,
  params: string[],
): Promise<PolicyLookup | { readonly type: "none" }> {
  try {
    const sql = neon(database.url, {
      fetchOptions: { signal: AbortSignal.timeout(QUERY_TIMEOUT_MS) },
    });
    const [row] = await sql.query(query, params);
    if (row === undefined) return { type: "none" };
    const { hasRow } = v.parse(RowSchema, row);
    return { type: "found", policy: hasRow ? v.parse(PolicySchema, row) : DEFAULT_POLICY };
  } catch (error) {
    // A network or database failure (NeonDbError), or a row that schema.sql does not allow (ValiError).
    return { type: "unavailable", reason: describeFailure(error) };
  }
}

/** A cause without values: a message could quote the connection string or a row. */
function describeFailure(error: unknown): string {
  if (error instanceof v.ValiError) {
    const fields = error.issues.map((issue) => v.getDotPath(issue) ?? "row");
    return `Unexpected policy row: ${fields.join(", ")}`;
  }
  if (!(error instanceof NeonDbError)) return error instanceof Error ? error.name : typeof error;
  if (error.code !== undefined) return `Postgres error ${error.code}`;
  const cause = error.sourceError;
  return cause?.name === "TimeoutError"
    ? `No answer within ${QUERY_TIMEOUT_MS} ms`
    : "No connection to the database";
}
