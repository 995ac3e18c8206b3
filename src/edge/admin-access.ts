/**
 * Access to the routes under /v1: the holder of the admin token, or of a key of the domain in question. The admin token
 * is compared as a hash, in constant time.
 */
import { parseAdminToken } from "../core/config.ts";
import type { Problem } from "../core/problem.ts";
import { err, ok, type Result } from "../core/result.ts";
import { logError } from "../log.ts";
import type { Caller } from "./caller.ts";
import { checkKeyWithDomain } from "./check-credential.ts";
import { findCredential, readKeyOrToken, refuseKey } from "./credential.ts";
import { countFailure, isBlocked, TOO_MANY_FAILURES } from "./failed-credentials.ts";

/** Lets the admin in, and no one else. */
export async function requireAdmin(
  caller: Caller,
  authorization: string | null,
): Promise<Result<null, Problem>> {
  const text = readBearer(authorization);
  if (!text.ok) return text;
  if (await isAdmin(caller.env, text.value)) return ok(null);
  if (isBlocked(caller)) return err(TOO_MANY_FAILURES);
  await countFailure(caller);
  return refuseKey();
}

/** Lets the admin in, and who holds a key of the domain. */
export async function requireDomain(
  caller: Caller,
  authorization: string | null,
  domain: string,
): Promise<Result<null, Problem>> {
  const text = readBearer(authorization);
  if (!text.ok) return text;
  if (await isAdmin(caller.env, text.value)) return ok(null);
  const key = readKeyOrToken(text.value);
  if (!key.ok) return key;
  if (key.value.type !== "key") return refuseKey();
  const checked = await checkKeyWithDomain(caller, key.value, domain);
  return checked.ok ? ok(null) : checked;
}

/** Reads `Authorization: Bearer`, without which none of these routes opens; `what` is what opens this one. */
export function readBearer(
  authorization: string | null,
  what: string = "AdminTokenOrKey",
): Result<string, Problem> {
  const found = findCredential({ authorization, encoded: [] });
  if (!found.ok) return refuseKey();
  if (found.value !== null) return ok(found.value);
  return err({ slug: "key-required", detail: `Send "Authorization: Bearer ${what}"` });
}

async function isAdmin(env: Env, text: string): Promise<boolean> {
  const token = parseAdminToken(env);
  if (!token.ok) {
    logError({ event: "configuration-invalid", faults: token.error });
    return false;
  }
  const [presented, expected] = await Promise.all([digest(text), digest(token.value)]);
  return crypto.subtle.timingSafeEqual(presented, expected);
}

function digest(text: string): Promise<ArrayBuffer> {
  return crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
}
