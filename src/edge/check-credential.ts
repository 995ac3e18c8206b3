/**
 * Checks credentials, whatever they open: a key against the key store, a token against its domain's settings,
 * a ticket against the domain object. What opens becomes a grant; what does not is counted.
 */
import type { Address } from "../core/address.ts";
import type { Grant } from "../core/grant.ts";
import type { Policy } from "../core/policy.ts";
import type { Problem } from "../core/problem.ts";
import { err, ok, type Result } from "../core/result.ts";
import type { Caller } from "./caller.ts";
import { refuseKey, refuseTicket, type Credential, type PresentedKey } from "./credential.ts";
import { countFailure, isBlocked, TOO_MANY_FAILURES } from "./failed-credentials.ts";
import { hashKey } from "./key-hash.ts";
import { keyStoreUnavailable, openKeyStore } from "./open-key-store.ts";
import { verifyToken } from "./token.ts";

/** A credential that opens something. */
export interface CheckedCredential {
  readonly grant: Grant;
  /** What the domain allows, where the check learned it. */
  readonly policy: Policy | null;
}

/** A key that opens something. */
export interface CheckedKey extends CheckedCredential {
  readonly policy: Policy;
}

/** Checks whatever a subscriber presents. */
export function checkCredential(
  caller: Caller,
  credential: Credential,
  address: Address,
): Promise<Result<CheckedCredential, Problem>> {
  switch (credential.type) {
    case "key":
      return checkKey(caller, credential, address.domain);
    case "token":
      return checkToken(caller, credential.text, address);
    case "ticket":
      return checkTicket(caller, credential.text, address);
  }
}

/** Checks a key; the domain's policy comes with the grant. */
export async function checkKey(
  caller: Caller,
  key: PresentedKey,
  domain: string,
): Promise<Result<CheckedKey, Problem>> {
  const keyStore = openKeyStore(caller.env);
  if (!keyStore.ok) return keyStore;
  const hash = await hashKey(key.text);
  // Others may share the address of whoever tries too much; their keys are known.
  if (isBlocked(caller) && !keyStore.value.knowsKey(hash, domain)) return err(TOO_MANY_FAILURES);
  const check = await keyStore.value.checkKey(hash, domain, caller.keepAlive);
  switch (check.type) {
    case "denied":
      await countFailure(caller);
      return refuseKey();
    case "unavailable":
      return err(keyStoreUnavailable(check));
    case "granted": {
      const { policy, keyId, expiresAtMs, checkedAtMs } = check;
      if (!key.isInPath || policy.pathKeys) {
        return ok({ policy, grant: { keyId, expiresAtMs, checkedAtMs } });
      }
      return err({
        slug: "key-in-path",
        detail: 'Send "Authorization: Bearer ApiKey" to /ws/pub/Domain/Topic',
      });
    }
  }
}

/** Makes sure that the next check of a key asks the key store. */
export async function forgetKey(caller: Caller, key: PresentedKey, domain: string): Promise<void> {
  const keyStore = openKeyStore(caller.env);
  if (keyStore.ok) keyStore.value.forgetKey(await hashKey(key.text), domain);
}

async function checkToken(
  caller: Caller,
  token: string,
  address: Address,
): Promise<Result<CheckedCredential, Problem>> {
  const keyStore = openKeyStore(caller.env);
  if (!keyStore.ok) return keyStore;
  const lookup = await keyStore.value.findDomain(address.domain, caller.keepAlive);
  if (lookup.type === "unavailable") return err(keyStoreUnavailable(lookup));
  const checkedAtMs = Date.now();
  const check = await verifyToken(token, address, lookup.tokens, checkedAtMs);
  if (check.type === "granted") {
    const { expiresAtMs } = check;
    return ok({ policy: lookup.policy, grant: { keyId: null, expiresAtMs, checkedAtMs } });
  }
  // Costs no query, so the limit only tells whoever tries that it is noticed.
  await countFailure(caller);
  if (isBlocked(caller)) return err(TOO_MANY_FAILURES);
  return err({ slug: "token-rejected", detail: check.reason });
}

async function checkTicket(
  caller: Caller,
  ticket: string,
  { domain, topic }: Address,
): Promise<Result<CheckedCredential, Problem>> {
  if (isBlocked(caller)) return err(TOO_MANY_FAILURES);
  const object = caller.env.DOMAIN.getByName(domain);
  const grant = await object.takeTicket(await hashKey(ticket), topic);
  if (grant !== null) return ok({ policy: null, grant });
  await countFailure(caller);
  return refuseTicket();
}
