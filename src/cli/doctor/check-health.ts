/** What a hub says of itself (PROTOCOL.md, 15.9): whether it is one, its configuration, its database, its clock. */
import * as v from "valibot";
import { parseJson } from "../input/parse-json.ts";
import { describeFetchFailure } from "../output/describe-fetch-failure.ts";
import { readProblem } from "../messages/read-problem.ts";
import { fine, LIMIT_MS, wrong, type Check } from "./check.ts";

/** Tokens may be a minute ahead (13.3), so half of that is too much already. */
const MOST_SKEW_MS = 30_000;

const HealthSchema = v.object({
  version: v.string(),
  as_of: v.string(),
  configuration: v.string(),
  database: v.object({
    status: v.string(),
    reason: v.optional(v.nullable(v.string()), null),
    schema: v.optional(v.nullable(v.string()), null),
  }),
  faults: v.optional(v.array(v.string()), []),
});
type Health = v.InferOutput<typeof HealthSchema>;

/** Asks. A first check that is wrong is the only one: then it is no hub, or not to be reached. */
export async function checkHealth(url: string, adminToken: string | null): Promise<Check[]> {
  const askedMs = Date.now();
  let response: Response;
  let text: string;
  try {
    response = await fetch(`${url}/v1/health`, {
      headers: adminToken === null ? {} : { Authorization: `Bearer ${adminToken}` },
      redirect: "manual",
      signal: AbortSignal.timeout(LIMIT_MS),
    });
    text = await response.text();
  } catch (error) {
    // TypeError: no connection, or none that lasted. TimeoutError.
    const reason = describeFetchFailure(error, LIMIT_MS);
    const remedy = url.startsWith("http:") ? "if it speaks TLS the URL begins with https://" : null;
    return [wrong("hub", `no answer over HTTP (${reason})`, remedy)];
  }
  // The answer was written somewhere in between.
  const nowMs = (askedMs + Date.now()) / 2;
  const body = parseJson(text);
  const health = v.safeParse(HealthSchema, body);
  if (health.success) return report(health.output, response.headers.get("Date"), nowMs, adminToken);
  if (adminToken !== null && response.status === 401 && readProblem(body) !== null) {
    const refused = wrong(
      "admin",
      "the hub has another ADMIN_TOKEN",
      "set ADMIN_TOKEN to the hub's",
    );
    const [hub, ...others] = await checkHealth(url, null);
    return hub === undefined ? [refused] : [hub, refused, ...others];
  }
  return [noHub(response)];
}

function noHub({ status, headers }: Response): Check {
  const location = headers.get("Location");
  if (location !== null && status < 400) {
    return wrong(
      "hub",
      `it redirects (${status}) to ${location}`,
      "give that host's URL, if it is the hub's",
    );
  }
  const remedy = "check the URL: its host, its port, its path";
  return wrong("hub", `it answers ${status}, and not as a hub does`, remedy);
}

function report(
  { version, as_of, configuration, database, faults }: Health,
  date: string | null,
  nowMs: number,
  adminToken: string | null,
): Check[] {
  const isConfigured = configuration === "ok";
  const remedy = adminToken === null ? "ask with ADMIN_TOKEN set, which names the faults" : null;
  const hub = isConfigured
    ? fine("hub", `version ${version}, configuration ok`)
    : wrong(
        "hub",
        [`version ${version}, configuration ${configuration}`, ...faults].join(". "),
        remedy,
      );
  return [hub, checkDatabase(database, adminToken), checkClock(date ?? as_of, nowMs)];
}

function checkDatabase(
  { status, reason, schema }: Health["database"],
  adminToken: string | null,
): Check {
  if (schema === "missing") {
    return wrong("database", "it has not the tables of schema.sql", "run npm run db:apply");
  }
  if (status === "failed") {
    const remedy =
      adminToken === null
        ? "ask with ADMIN_TOKEN set, which names the reason"
        : "check the hub's DATABASE_URL, and Postgres";
    return wrong("database", reason ?? "the hub cannot use it", remedy);
  }
  return fine("database", status === "unknown" ? "the hub has not asked it of late" : "ok");
}

function checkClock(date: string, nowMs: number): Check {
  const aheadMs = nowMs - Date.parse(date);
  const seconds = Math.round(Math.abs(aheadMs) / 1000);
  const detail = `this machine is ${seconds} s ${aheadMs < 0 ? "behind" : "ahead of"} the hub`;
  return Math.abs(aheadMs) < MOST_SKEW_MS
    ? fine("clock", detail)
    : wrong("clock", detail, "set the clock: tokens that are signed here are too new, or too old");
}
