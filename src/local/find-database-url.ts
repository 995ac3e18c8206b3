/**
 * Which database a command on this machine means.
 */
import { parseDatabaseUrl, type DatabaseUrl } from "../core/database-url.ts";
import { UserError } from "./fail.ts";
import { findSetting } from "./find-setting.ts";

/** The database of DATABASE_URL, `null` if it is not set; throws a UserError. */
export function findDatabaseUrl(): DatabaseUrl | null {
  const setting = findSetting("DATABASE_URL");
  if (setting === null) return null;
  const parsed = parseDatabaseUrl(setting.value);
  if (parsed.ok) return parsed.value;
  throw new UserError(`${parsed.error} (from ${setting.place})`);
}
