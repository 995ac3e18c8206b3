/**
 * What a domain allows, carried through: read from Postgres and handed to the domain, which tells its live topics
 * (PROTOCOL.md, 15.7).
 */
import type { Problem } from "../core/problem.ts";
import { err, ok, type Result } from "../core/result.ts";
import { domainStub } from "../stubs.ts";
import type { Caller } from "./caller.ts";
import { changePolicy, OUTDATED_DOMAIN } from "./domain-calls.ts";
import { keyStoreUnavailable, openKeyStore } from "./open-key-store.ts";

/** Applies what Postgres says of a domain now. */
export async function syncDomain(
  { env }: Caller,
  domain: string,
): Promise<Result<object, Problem>> {
  const keyStore = openKeyStore(env);
  if (!keyStore.ok) return keyStore;
  const lookup = await keyStore.value.readDomain(domain);
  // While the store is out of reach what is remembered is all that there is.
  if (lookup.type === "unavailable") return err(keyStoreUnavailable(lookup));
  keyStore.value.forgetDomain(domain);
  if (lookup.type === "unreadable") return err(keyStoreUnavailable(lookup));
  const { policy, atMs } = lookup;
  const outcome = await changePolicy(() => domainStub(env, domain), policy, atMs);
  if (outcome === null) return err(OUTDATED_DOMAIN);
  const { closed, told, missed } = outcome;
  return ok({ domain, closed, told, missed });
}
