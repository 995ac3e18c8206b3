/**
 * Which database a command on this machine means.
 */
import { parseDatabaseUrl, type DatabaseUrl } from "../core/database-url.ts";
import { UserError } from "./fail.ts";
import { findSetting, noteChoice, type SettingPlace } from "./find-setting.ts";
import { isSameDatabase } from "./same-place.ts";

/**
 * The database of DATABASE_URL, `null` if it is not set; throws a UserError. Says on stderr which one is meant where
 * `.dev.vars` and the environment differ.
 */
export function findDatabaseUrl(first: SettingPlace = "the environment"): DatabaseUrl | null {
  const setting = findSetting("DATABASE_URL", first);
  if (setting === null) return null;
  const parsed = parseDatabaseUrl(setting.value);
  if (!parsed.ok) throw new UserError(`${parsed.error} (from ${setting.place})`);
  const other = setting.other === null ? parsed : parseDatabaseUrl(setting.other);
  const isSame = other.ok && isSameDatabase(other.value.url, parsed.value.url);
  if (!isSame) noteChoice("DATABASE_URL", setting, parsed.value.host);
  return parsed.value;
}
