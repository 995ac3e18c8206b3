/**
 * `GET /v1/health` (PROTOCOL.md, 15.9): which version this is, and how it gets on with its database. Invariants: a
 * stranger causes no question to anybody, and learns no fault's name; Postgres is asked for the operator alone.
 */
import { version } from "../../package.json";
import { parseAdminToken, parseConfig } from "../core/config.ts";
import type { Problem } from "../core/problem.ts";
import { ok, type Result } from "../core/result.ts";
import { requireAdmin } from "./admin-access.ts";
import type { Caller } from "./caller.ts";
import { keyStoreUnavailable, lastSight, openKeyStore } from "./open-key-store.ts";

/** What is known. */
export interface Health {
  readonly status: "ok" | "degraded";
  readonly version: string;
  readonly as_of: string;
  readonly configuration: "ok" | "invalid";
  readonly database: DatabaseHealth;
  /** What is wrong with the configuration; for the operator. */
  readonly faults?: readonly string[];
}

interface DatabaseHealth {
  /** `unknown` until it was asked anything. */
  readonly status: "ok" | "failed" | "unknown";
  readonly seen_at: string | null;
  /** Why it failed; for the operator, as is `schema`. */
  readonly reason?: string | null;
  /** Whether schema.sql is there, as new as the hub needs it; `null`: Postgres did not say. */
  readonly schema?: "ok" | "missing" | null;
}

/** A failure that is older is no news: nobody has asked since, and nobody was refused. */
const FAILURE_COUNTS_MS = 60_000;

/** Reports to whoever asks; refuses only who presents what is not the admin token. */
export async function reportHealth(
  caller: Caller,
  authorization: string | null,
): Promise<Result<Health, Problem>> {
  const faults = faultsOf(caller.env);
  if (authorization === null) return ok(report(faults, seenOf(caller.env)));
  const allowed = await requireAdmin(caller, authorization);
  return allowed.ok ? ok({ ...report(faults, await probe(caller)), faults }) : allowed;
}

function report(faults: readonly string[], database: DatabaseHealth): Health {
  const isConfigured = faults.length === 0;
  const failedAtMs = database.status === "failed" ? Date.parse(database.seen_at ?? "") : -Infinity;
  const isFailing = Date.now() - failedAtMs < FAILURE_COUNTS_MS;
  return {
    status: isConfigured && !isFailing ? "ok" : "degraded",
    version,
    as_of: new Date().toISOString(),
    configuration: isConfigured ? "ok" : "invalid",
    database,
  };
}

function faultsOf(env: Env): readonly string[] {
  const config = parseConfig(env);
  const token = parseAdminToken(env);
  return [...(config.ok ? [] : config.error), ...(token.ok ? [] : [token.error])];
}

function seenOf(env: Env): DatabaseHealth {
  const sight = lastSight(env);
  if (sight === null) return { status: "unknown", seen_at: null };
  const status = sight.fault === null ? "ok" : "failed";
  return { status, seen_at: new Date(sight.atMs).toISOString() };
}

/** Asks Postgres now. */
async function probe({ env, keepAlive }: Caller): Promise<DatabaseHealth> {
  const store = openKeyStore(env);
  if (!store.ok) return { ...seenOf(env), reason: null, schema: null };
  const probed = await store.value.probe(keepAlive);
  if (probed.type === "ready") return { ...seenOf(env), reason: null, schema: "ok" };
  keyStoreUnavailable({ ...probed, type: "unavailable" });
  return {
    // Not what was seen: where it answered another request of late, it still did not answer this one.
    status: "failed",
    seen_at: new Date().toISOString(),
    reason: probed.reason,
    schema: probed.type === "unprepared" ? "missing" : null,
  };
}
