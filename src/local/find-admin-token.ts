/**
 * The secret that opens the hub's admin routes, as this machine has it. Never echoes the value.
 */
import { UserError } from "./fail.ts";
import { findSetting } from "./find-setting.ts";

/** Of a Bearer token (RFC 6750, section 2.1); the least length is the hub's. */
const TOKEN = /^(?=.{32})[A-Za-z0-9._~+/-]+=*$/;

/** ADMIN_TOKEN, `null` if it is not set; throws a UserError. */
export function findAdminToken(): string | null {
  const setting = findSetting("ADMIN_TOKEN");
  if (setting === null) return null;
  if (TOKEN.test(setting.value)) return setting.value;
  throw new UserError(
    `ADMIN_TOKEN must have 32 characters at least, of A-Z, a-z, 0-9 and -._~+/ (from ${setting.place})`,
  );
}
