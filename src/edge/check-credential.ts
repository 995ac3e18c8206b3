/**
 * Checks credentials, whatever they open: a key against the key store, a token against its domain's settings,
 * a ticket against the domain object. What opens becomes a grant; what does not is counted.
 */
import type { Address } from "../core/address.ts";
import { askAgain } from "../core/fresh-stub.ts";
import type { Grant } from "../core/grant.ts";
import type { DatedPolicy } from "../core/policy.ts";
import type { Problem } from "../core/problem.ts";
import { err, ok, type Result } from "../core/result.ts";
import { judgeGrant } from "../core/judge.ts";
import { domainStub } from "../stubs.ts";
import type { CachedDomainLookup } from "./cached-key-store.ts";
import type { Caller } from "./caller.ts";
import {
  refuseKey,
  refuseKeyInPath,
  refuseTicket,
  type Credential,
  type PresentedKey,
} from "./credential.ts";
import { changeOf, tryTicket, type FindDomain } from "./domain-calls.ts";
import { countFailure, isBlocked, TOO_MANY_FAILURES } from "./failed-credentials.ts";
import { hashKey } from "./key-hash.ts";
import { keyStoreUnavailable, openKeyStore } from "./open-key-store.ts";
import { rereadDomain } from "./reread-domain.ts";
import { verifyToken, type TokenCheck } from "./token.ts";

/** A credential that opens something. */
export interface CheckedCredential {
  readonly grant: Grant;
  /** What the domain allows, where the check learned it. */
  readonly policy: DatedPolicy | null;
  /** The key store was asked for this very check. */
  readonly isFresh: boolean;
  /** Gives the credential back, where it opens only once; not to be called once it has opened something. */
  readonly giveBack?: () => Promise<void>;
}

type FoundDomain = Extract<CachedDomainLookup, { type: "found" }>;

/** A key that opens something. */
export interface CheckedKey extends CheckedCredential {
  readonly policy: DatedPolicy;
}

/** How to check. */
export interface Check {
  /** The key store itself must say so, now: what is remembered of it may be outdated. */
  readonly isAnew: boolean;
}

const AS_REMEMBERED: Check = { isAnew: false };

/** Checks whatever a subscriber presents. */
export function checkCredential(
  caller: Caller,
  credential: Credential,
  address: Address,
  { isAnew }: Check = AS_REMEMBERED,
): Promise<Result<CheckedCredential, Problem>> {
  switch (credential.type) {
    case "key":
      return checkKey(caller, credential, address.domain, { isAnew });
    case "token":
      return checkToken(caller, credential.text, address, { isAnew });
    case "ticket":
      // It was used up by the first check.
      return isAnew
        ? Promise.resolve(refuseTicket())
        : checkTicket(caller, credential.text, address);
  }
}

/** Checks a key; the domain's policy comes with the grant. */
export async function checkKey(
  caller: Caller,
  key: PresentedKey,
  domain: string,
  { isAnew }: Check = AS_REMEMBERED,
): Promise<Result<CheckedKey, Problem>> {
  const keyStore = openKeyStore(caller.env);
  if (!keyStore.ok) return keyStore;
  const hash = await hashKey(key.text);
  // Others may share the address of whoever tries too much; their keys are known to be good.
  if (isBlocked(caller) && !keyStore.value.wasGood(hash, domain)) return err(TOO_MANY_FAILURES);
  const { keepAlive } = caller;
  const check = await keyStore.value.checkKey(hash, domain, { keepAlive, isAnew });
  switch (check.type) {
    case "denied":
      await countFailure(caller);
      return refuseKey();
    case "unreadable":
    case "unavailable":
      return err(keyStoreUnavailable(check));
    case "granted": {
      const { policy, keyId, expiresAtMs, atMs, isFresh } = check;
      if (key.isInPath && !policy.pathKeys) return refuseKeyInPath();
      keyStore.value.noteUses([keyId], keepAlive);
      const grant = { keyId, subject: null, expiresAtMs, checkedAtMs: atMs };
      return ok({ grant, policy: { policy, atMs }, isFresh });
    }
  }
}

/**
 * Checks a key where no topic would judge it: what is remembered of it is compared with what its domain has heard
 * of late. Rejects when the domain cannot be reached.
 */
export async function checkKeyWithDomain(
  caller: Caller,
  key: PresentedKey,
  domain: string,
): Promise<Result<CheckedKey, Problem>> {
  const checked = await checkKey(caller, key, domain);
  if (!checked.ok || checked.value.isFresh) return checked;
  const { grant } = checked.value;
  if (grant.keyId === null) return checked;
  const { keyId } = grant;
  const change = await changeOf(() => domainStub(caller.env, domain), keyId);
  if (change === null) return checked;
  const verdict = judgeGrant(grant, change, false, Date.now());
  switch (verdict.type) {
    case "good":
      return ok({ ...checked.value, grant: verdict.grant });
    case "dead":
      await countFailure(caller);
      return refuseKey();
    case "doubtful":
      return checkKey(caller, key, domain, { isAnew: true });
  }
}

async function checkToken(
  caller: Caller,
  token: string,
  address: Address,
  { isAnew }: Check,
): Promise<Result<CheckedCredential, Problem>> {
  const keyStore = openKeyStore(caller.env);
  if (!keyStore.ok) return keyStore;
  // Others may share the address; what their token takes is remembered, or it would have to be asked for.
  if (isBlocked(caller) && !keyStore.value.remembersDomain(address.domain)) {
    return err(TOO_MANY_FAILURES);
  }
  const mark = keyStore.value.domainsMark;
  const { keepAlive } = caller;
  const lookup = await keyStore.value.findDomain(address.domain, { keepAlive, isAnew });
  if (lookup.type !== "found") return err(keyStoreUnavailable(lookup));
  const check = await verifyToken(token, address, lookup.tokens, Date.now());
  if (lookup.isFresh || !mayBeOutdated(check)) return concludeToken(caller, lookup, check);
  if (isBlocked(caller)) return err(TOO_MANY_FAILURES);
  const reread = await rereadDomain(caller, keyStore.value, address.domain, mark);
  if (reread === null) return err(await countToken(caller, TOKEN_UNCHECKED));
  if (reread.type !== "found") return err(keyStoreUnavailable(reread));
  const anew = await verifyToken(token, address, reread.tokens, Date.now());
  return concludeToken(caller, reread, anew);
}

/** Whether newer settings of the domain may make something else of a token. */
function mayBeOutdated(check: TokenCheck): boolean {
  return check.type === "undecided" || (check.type === "denied" && check.isBySettings);
}

async function concludeToken(
  caller: Caller,
  { policy, atMs, isFresh }: FoundDomain,
  check: TokenCheck,
): Promise<Result<CheckedCredential, Problem>> {
  switch (check.type) {
    case "granted": {
      const { subject, expiresAtMs } = check;
      const grant = { keyId: null, subject, expiresAtMs, checkedAtMs: atMs };
      return ok({ grant, policy: { policy, atMs }, isFresh });
    }
    case "expired":
      // Not counted: its holder had one that was good, and can get another.
      return err({ slug: "token-expired", detail: "Get another token, and come back with it" });
    case "undecided":
      return err(
        keyStoreUnavailable({
          type: "unreadable",
          reason: "A private key in tokenKeys, or no set",
        }),
      );
    case "denied":
      return err(await countToken(caller, { slug: "token-rejected", detail: check.reason }));
  }
}

/** Counts a token that opened nothing, which tells whoever tries too much that it is noticed. */
async function countToken(caller: Caller, problem: Problem): Promise<Problem> {
  await countFailure(caller);
  return isBlocked(caller) ? TOO_MANY_FAILURES : problem;
}

/** The answer to a token that newer settings might let in, from an address that had them read too often of late. */
const TOKEN_UNCHECKED: Problem = {
  slug: "key-store-unavailable",
  detail:
    "The token could not be checked by the domain's newest keys, which says nothing about it: try again",
};

async function checkTicket(
  caller: Caller,
  ticket: string,
  { domain, topic }: Address,
): Promise<Result<CheckedCredential, Problem>> {
  if (isBlocked(caller)) return err(TOO_MANY_FAILURES);
  const object = (): ReturnType<FindDomain> => domainStub(caller.env, domain);
  const hash = await hashKey(ticket);
  const taken = await tryTicket(object, hash, topic);
  if (taken === null) {
    await countFailure(caller);
    return refuseTicket();
  }
  const checked = { policy: null, grant: taken.grant, isFresh: false };
  const { ticket: entry } = taken;
  if (entry === null) return ok(checked);
  const giveBack = (): Promise<void> => askAgain(() => object().giveTicketBack(hash, topic, entry));
  return ok({ ...checked, giveBack });
}
