/**
 * What became of a key, carried through: read from Postgres, handed to the domain, which closes whoever is
 * there by a key that opens nothing any more (PROTOCOL.md, 15.4 and 15.5).
 */
import type { KeyStanding } from "../core/grant.ts";
import type { Problem } from "../core/problem.ts";
import { err, ok, type Result } from "../core/result.ts";
import type { Caller } from "./caller.ts";
import type { KeyRecord, Unavailable } from "./key-store.ts";
import { keyStoreUnavailable, openKeyStore } from "./open-key-store.ts";

/** Applies what Postgres says of a key now. A key that was deleted is closed like a revoked one. */
export async function syncKey(
  caller: Caller,
  domain: string,
  keyId: number,
): Promise<Result<object, Problem>> {
  const keyStore = openKeyStore(caller.env);
  if (!keyStore.ok) return keyStore;
  return apply(caller, domain, keyId, await keyStore.value.readKey(domain, keyId));
}

/** Revokes a key for good. */
export async function revokeKey(
  caller: Caller,
  domain: string,
  keyId: number,
): Promise<Result<object, Problem>> {
  const keyStore = openKeyStore(caller.env);
  if (!keyStore.ok) return keyStore;
  const record = await keyStore.value.revokeKey(domain, keyId);
  if (record === null) return unknownKey();
  return apply(caller, domain, keyId, record);
}

async function apply(
  { env }: Caller,
  domain: string,
  keyId: number,
  record: KeyRecord | null | Unavailable,
): Promise<Result<object, Problem>> {
  if (record !== null && "type" in record) return err(keyStoreUnavailable(record));
  const standing: KeyStanding =
    record?.state === "live" ? { type: "live", expiresAtMs: record.expiresAtMs } : { type: "dead" };
  const closed = await env.DOMAIN.getByName(domain).applyKey(keyId, standing);
  if (record === null) return unknownKey();
  const { state, expiresAtMs } = record;
  const expires_at = expiresAtMs === null ? null : new Date(expiresAtMs).toISOString();
  return ok({ domain, id: keyId, state, expires_at, closed });
}

function unknownKey(): Result<never, Problem> {
  return err({ slug: "not-found", detail: "The domain has no key of this number" });
}
