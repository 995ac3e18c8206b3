/**
 * The secret that opens the hub's admin routes, as this machine has it. Never echoes the value.
 */
import { UserError } from "./fail.ts";
import { findSetting, noteChoice, type SettingPlace } from "./find-setting.ts";

/** Of a Bearer token (RFC 6750, section 2.1); the least length is the hub's. */
const TOKEN = /^(?=.{32})[A-Za-z0-9._~+/-]+=*$/;

/** ADMIN_TOKEN, `null` if it is not set; throws a UserError. Says on stderr where it differs in the other place. */
export function findAdminToken(first: SettingPlace = "the environment"): string | null {
  const setting = findSetting("ADMIN_TOKEN", first);
  if (setting === null) return null;
  const { value, place, other } = setting;
  if (!TOKEN.test(value)) {
    throw new UserError(
      `ADMIN_TOKEN must have 32 characters at least, of A-Z, a-z, 0-9 and -._~+/ (from ${place})`,
    );
  }
  if (other !== null && other !== value) noteChoice("ADMIN_TOKEN", setting, null);
  return value;
}
