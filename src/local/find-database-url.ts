/**
 * Which database a command on this machine means: `.dev.vars` before the environment, as wrangler has it.
 */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseEnv } from "node:util";
import { parseDatabaseUrl, type DatabaseUrl } from "../core/database-url.ts";
import { UserError } from "./fail.ts";

/** The file; tests name another, so that they never touch the database of whoever runs them. */
export const DEV_VARS: string =
  process.env["WSPUBSUB_DEV_VARS"] ?? join(import.meta.dirname, "../../.dev.vars");

/** The database of `.dev.vars` or the environment, `null` if neither names one; throws a UserError. */
export function findDatabaseUrl(): DatabaseUrl | null {
  const vars = existsSync(DEV_VARS) ? parseEnv(readFileSync(DEV_VARS, "utf8")) : {};
  const inFile = vars["DATABASE_URL"];
  const text = inFile ?? process.env["DATABASE_URL"];
  if (text === undefined || text === "") return null;
  const parsed = parseDatabaseUrl(text);
  if (parsed.ok) return parsed.value;
  const place = inFile === undefined ? "the environment" : ".dev.vars";
  throw new UserError(`${parsed.error} (from ${place})`);
}
