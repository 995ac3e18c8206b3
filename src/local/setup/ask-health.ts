/** Asks a deployed hub how it is (PROTOCOL.md, 15.9), and says what that means for the person that set it up. */
import { setTimeout as sleep } from "node:timers/promises";
import * as v from "valibot";
import { describeFetchFailure } from "../../cli/output/describe-fetch-failure.ts";
import { UserError } from "../fail.ts";
import type { Say } from "./say.ts";

const TIMEOUT_MS = 10_000;
const PAUSE_MS = 1000;

const HealthSchema = v.object({
  version: v.string(),
  configuration: v.string(),
  database: v.object({
    status: v.string(),
    reason: v.optional(v.nullable(v.string())),
    schema: v.optional(v.nullable(v.string())),
  }),
  faults: v.optional(v.array(v.string()), []),
});
type Health = v.InferOutput<typeof HealthSchema>;

type Answer =
  | { readonly type: "health"; readonly health: Health }
  | { readonly type: "refused" }
  /** Not yet: an address that is new is known everywhere after a while. */
  | { readonly type: "none"; readonly reason: string };

/** Asks, for as long as it may take; throws a UserError that says what is wrong and what to do. */
export async function askHealth(
  url: string,
  adminToken: string | null,
  waitSeconds: number,
  say: Say,
): Promise<void> {
  const answer = await askPatiently(url, adminToken, Date.now() + waitSeconds * 1000);
  switch (answer.type) {
    case "none":
      throw new UserError(
        `${url}/v1/health does not answer as a hub: ${answer.reason}. A new address may take minutes; run this again`,
      );
    case "refused":
      throw new UserError(
        "The hub has another ADMIN_TOKEN than is set here: set that one, or --replace ADMIN_TOKEN",
      );
    case "health":
      report(answer.health, adminToken !== null, say);
  }
}

function report({ version, configuration, database, faults }: Health, isAdmin: boolean, say: Say) {
  say(`version ${version}, configuration ${configuration}, database ${database.status}`);
  if (configuration !== "ok") {
    const what = faults.length > 0 ? faults.join("\n") : "ask it with ADMIN_TOKEN set";
    throw new UserError(`The hub's configuration is wrong: ${what}`);
  }
  if (database.schema === "missing") {
    throw new UserError(
      "The hub's database has not the tables of schema.sql. Is it another one than is set here?\n" +
        "--replace DATABASE_URL gives the hub this one",
    );
  }
  if (database.status === "failed") {
    throw new UserError(
      `The hub cannot use its database: ${database.reason ?? "ask it with ADMIN_TOKEN set"}.\n` +
        "--replace DATABASE_URL gives it the one that is set here",
    );
  }
  if (!isAdmin) say("it asks its database for the operator only: set ADMIN_TOKEN to know more");
}

async function askPatiently(
  url: string,
  adminToken: string | null,
  untilMs: number,
): Promise<Answer> {
  for (;;) {
    const answer = await askOnce(url, adminToken);
    if (answer.type !== "none" || Date.now() + PAUSE_MS > untilMs) return answer;
    await sleep(PAUSE_MS);
  }
}

async function askOnce(url: string, adminToken: string | null): Promise<Answer> {
  try {
    const response = await fetch(`${url}/v1/health`, {
      headers: adminToken === null ? {} : { Authorization: `Bearer ${adminToken}` },
      redirect: "manual",
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    const health = v.safeParse(HealthSchema, await response.json());
    if (health.success) return { type: "health", health: health.output };
    if (response.status === 401) return { type: "refused" };
    return { type: "none", reason: `it says ${response.status}` };
  } catch (cause) {
    // SyntaxError: no JSON. TypeError: no connection, or none that lasted. TimeoutError.
    if (cause instanceof SyntaxError) return { type: "none", reason: "it is no JSON" };
    return { type: "none", reason: describeFetchFailure(cause, TIMEOUT_MS) };
  }
}
