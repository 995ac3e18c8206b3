/**
 * Whether the deployed hub could use a database: it speaks Neon's HTTP and nothing else, and from Cloudflare. Never
 * sends a password, since a host that is no Neon's is not known to deserve it.
 */
import type { DatabaseUrl } from "../core/database-url.ts";
import { describeFetchFailure } from "../cli/output/describe-fetch-failure.ts";

const TIMEOUT_MS = 5000;

const RIGHT =
  "DATABASE_URL must be the connection string of a database at Neon:\n" +
  "postgres://USER:PASSWORD@ep-NAME.REGION.aws.neon.tech/DATABASE";

/** Why it could not, as sentences; `null` where it could, as far as can be told from here. */
export async function checkHubDatabase(database: DatabaseUrl): Promise<string | null> {
  const { host, speaks, endpoint } = database;
  if (speaks === "neon") return null;
  if (endpoint !== null) {
    // Tests have no database at Neon.
    if (process.env["WSPUBSUB_TEST_LOOPBACK"] === "1") return null;
    return `${host} is this machine, which a hub at Cloudflare cannot reach. ${RIGHT}`;
  }
  const fault = await askForNeon(neonEndpoint(host));
  return fault === null
    ? null
    : `${host} does not speak Neon's HTTP, and the hub speaks nothing else (${fault}).\n${RIGHT}`;
}

/** Where the hub's driver would send its queries. */
export function neonEndpoint(host: string): string {
  return `https://${host.replace(/^[^.]+\./, "api.")}/sql`;
}

/** Asks an endpoint something that Neon's refuses by its own form of an error; why not as a clause, or `null`. */
export async function askForNeon(endpoint: string): Promise<string | null> {
  try {
    const response = await fetch(endpoint, {
      method: "POST",
      // Without a password: Neon says so, and no other service understands.
      headers: { "Neon-Connection-String": "postgresql://nobody@nowhere/nothing" },
      body: JSON.stringify({ query: "select 1", params: [] }),
      redirect: "manual",
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    const body: unknown = await response.json();
    return isNeons(body) ? null : `${endpoint} answers ${response.status}, and not as Neon does`;
  } catch (cause) {
    // SyntaxError: no JSON. TypeError: no connection, or none that lasted. TimeoutError.
    if (cause instanceof SyntaxError) return `${endpoint} answers, and not as Neon does`;
    return `${endpoint}: ${describeFetchFailure(cause, TIMEOUT_MS)}`;
  }
}

/** Rows, or an error with the fields that Neon's proxy always sends (`proxy/src/serverless/sql_over_http.rs`). */
function isNeons(body: unknown): boolean {
  if (typeof body !== "object" || body === null) return false;
  return ("rows" in body && "fields" in body) || ("message" in body && "internalQuery" in body);
}
