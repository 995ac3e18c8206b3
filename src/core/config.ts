/**
 * The Worker's configuration: `env` parsed once, every fault reported at once, no value ever echoed.
 */
import { parseDatabaseUrl, type DatabaseUrl } from "./database-url.ts";
import { err, ok, type Result } from "./result.ts";

/** What the Worker needs to know of its surroundings. */
export interface Config {
  readonly database: DatabaseUrl;
}

/** Reads the environment; the error lists every fault as a sentence that says what would be right. */
export function parseConfig(env: { readonly DATABASE_URL?: unknown }): Result<Config, string[]> {
  if (typeof env.DATABASE_URL !== "string" || env.DATABASE_URL === "") {
    return err([
      "DATABASE_URL is missing: put it into .dev.vars, or run `wrangler secret put DATABASE_URL`",
    ]);
  }
  const database = parseDatabaseUrl(env.DATABASE_URL);
  if (!database.ok) return err([database.error]);
  return ok({ database: database.value });
}
