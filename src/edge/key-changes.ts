/**
 * What became of a key, carried through: read from Postgres, or written there, and handed to the domain, which closes
 * sockets by a key that opens nothing any more (PROTOCOL.md, 15.4 and 15.5).
 */
import type { Problem } from "../core/problem.ts";
import { err, ok, type Result } from "../core/result.ts";
import { domainStub } from "../stubs.ts";
import type { Caller } from "./caller.ts";
import {
  changeKey,
  holdRevocation,
  OUTDATED_DOMAIN,
  type FindDomain,
  type Outcome,
} from "./domain-calls.ts";
import { standingOf, type KeyRecord } from "./key-store.ts";
import { keyStoreUnavailable, openKeyStore } from "./open-key-store.ts";

/** What is answered, and whether Postgres has yet to hear of it. */
export interface ChangedKey {
  readonly body: object;
  readonly isHeld: boolean;
}

/** Applies what Postgres says of a key now. A key that was deleted is closed like a revoked one. */
export async function syncKey(
  caller: Caller,
  domain: string,
  keyId: number,
): Promise<Result<ChangedKey, Problem>> {
  const { env } = caller;
  const keyStore = openKeyStore(env);
  if (!keyStore.ok) return keyStore;
  const lookup = await keyStore.value.readKey(domain, keyId);
  if (lookup.type !== "found") return err(keyStoreUnavailable(lookup));
  keyStore.value.forgetKey(domain, keyId);
  const [record = null] = lookup.keys;
  const object = (): ReturnType<FindDomain> => domainStub(env, domain);
  const isForGood = record === null || record.state === "revoked";
  const news = { keyId, standing: standingOf(record), atMs: lookup.atMs, isForGood };
  const outcome = await changeKey(object, news);
  // Postgres answers again: what the domain holds need not wait for its next try.
  if (outcome.isHeld) return revokeKey(caller, domain, keyId);
  if (record === null) return unknownKey();
  return ok({ body: describe(domain, record, outcome), isHeld: false });
}

/** Revokes a key for good: in Postgres, or by the domain's word until Postgres can be reached. */
export async function revokeKey(
  { env }: Caller,
  domain: string,
  keyId: number,
): Promise<Result<ChangedKey, Problem>> {
  const keyStore = openKeyStore(env);
  if (!keyStore.ok) return keyStore;
  const revoked = await keyStore.value.revokeKey(domain, keyId);
  keyStore.value.forgetKey(domain, keyId);
  const object = (): ReturnType<FindDomain> => domainStub(env, domain);
  switch (revoked.type) {
    case "unreadable":
    case "unavailable": {
      keyStoreUnavailable(revoked);
      const outcome = await holdRevocation(object, keyId);
      if (outcome === null) return err(OUTDATED_DOMAIN);
      const record = { keyId, state: "revoked", expiresAtMs: null } as const;
      return ok({ body: { ...describe(domain, record, outcome), held: true }, isHeld: true });
    }
    case "done": {
      const { key, atMs } = revoked;
      const news = { keyId, standing: { type: "dead" }, atMs, isForGood: true } as const;
      const outcome = await changeKey(object, news);
      if (key === null) return unknownKey();
      return ok({ body: { ...describe(domain, key, outcome), held: false }, isHeld: false });
    }
  }
}

function describe(domain: string, record: KeyRecord, { closed, told, missed }: Outcome): object {
  const { keyId, state, expiresAtMs } = record;
  const expires_at = expiresAtMs === null ? null : new Date(expiresAtMs).toISOString();
  return { domain, id: keyId, state, expires_at, closed, told, missed };
}

function unknownKey(): Result<never, Problem> {
  return err({ slug: "not-found", detail: "The domain has no key of this number" });
}
