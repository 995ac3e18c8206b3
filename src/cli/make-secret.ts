/** Keys and secrets that nobody can guess. */
import { randomBytes } from "node:crypto";

/** 32 random bytes in base64url: 43 characters that need no escaping anywhere. */
export function makeSecret(): string {
  return randomBytes(32).toString("base64url");
}
