/**
 * The Worker's configuration: `env` parsed once, every fault reported at once, no value ever echoed.
 */
import { parseDatabaseUrl, type DatabaseUrl } from "./database-url.ts";
import { parsePlace, type Place, type PlaceSettings } from "./place.ts";
import { err, ok, type Result } from "./result.ts";

/** What the Worker needs to know of its surroundings. */
export interface Config {
  readonly database: DatabaseUrl;
  readonly place: Place;
}

/** Characters; it opens everything, and a guess costs only a request. */
const MIN_ADMIN_TOKEN_LENGTH = 32;

/** Reads the environment; the error lists every fault as a sentence that says what would be right. */
export function parseConfig(
  env: PlaceSettings & { readonly DATABASE_URL?: unknown },
): Result<Config, readonly string[]> {
  const database = parseDatabase(env.DATABASE_URL);
  const place = parsePlace(env);
  if (database.ok && place.ok) return ok({ database: database.value, place: place.value });
  return err([...(database.ok ? [] : [database.error]), ...(place.ok ? [] : place.error)]);
}

/** Reads the admin token, without which the hub runs and nobody is admin; the error says what would be right. */
export function parseAdminToken(env: { readonly ADMIN_TOKEN?: unknown }): Result<string> {
  if (typeof env.ADMIN_TOKEN !== "string" || env.ADMIN_TOKEN === "") {
    return err(
      "ADMIN_TOKEN is missing: put it into .dev.vars, or run `wrangler secret put ADMIN_TOKEN`",
    );
  }
  return env.ADMIN_TOKEN.length < MIN_ADMIN_TOKEN_LENGTH
    ? err(`ADMIN_TOKEN has fewer than ${MIN_ADMIN_TOKEN_LENGTH} characters`)
    : ok(env.ADMIN_TOKEN);
}

function parseDatabase(url: unknown): Result<DatabaseUrl> {
  return typeof url === "string" && url !== ""
    ? parseDatabaseUrl(url)
    : err(
        "DATABASE_URL is missing: put it into .dev.vars, or run `wrangler secret put DATABASE_URL`",
      );
}
