/**
 * Checks credentials, whatever they open: a key against the key store, a token against its domain's settings,
 * a ticket against the domain object. What opens becomes a grant; what does not is counted.
 */
import { askAgain } from "../core/fresh-stub.ts";
import type { Grant } from "../core/grant.ts";
import type { DatedPolicy } from "../core/policy.ts";
import type { Problem } from "../core/problem.ts";
import { err, ok, type Result } from "../core/result.ts";
import { judgeGrant } from "../core/judge.ts";
import type { AskedAccess, TokenAction } from "../core/token-claims.ts";
import { logError } from "../log.ts";
import { domainStub } from "../stubs.ts";
import type { CachedDomainLookup } from "./cached-key-store.ts";
import type { Caller } from "./caller.ts";
import {
  refuseEndedToken,
  refuseKey,
  refuseKeyInPath,
  refuseTicket,
  refuseTokenPublisher,
  type Credential,
  type PresentedKey,
} from "./credential.ts";
import { changeOf, tryTicket, type FindDomain } from "./domain-calls.ts";
import { countFailure, isBlocked, TOO_MANY_FAILURES } from "./failed-credentials.ts";
import { hashKey, recallHash, rememberHash } from "./key-hash.ts";
import { keyStoreUnavailable, openKeyStore } from "./open-key-store.ts";
import { rereadDomain } from "./reread-domain.ts";
import { hashTicket } from "./hash-ticket.ts";
import { verifyToken, type TokenCheck } from "./token.ts";

/** A credential that opens something. */
export interface CheckedCredential {
  readonly grant: Grant;
  /** What the domain allows, where the check learned it. */
  readonly policy: DatedPolicy | null;
  /** The key store was asked for this very check. */
  readonly isFresh: boolean;
  /** Gives the credential back, where it opens only once; not to be called once it has opened something. Never rejects. */
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

/** Checks whatever is presented to publish, or to subscribe. */
export function checkCredential(
  caller: Caller,
  credential: Credential,
  asked: AskedAccess,
  { isAnew }: Check = AS_REMEMBERED,
): Promise<Result<CheckedCredential, Problem>> {
  switch (credential.type) {
    case "key":
      return checkKey(caller, credential, asked.address.domain, { isAnew });
    case "token":
      return checkToken(caller, credential.text, asked, { isAnew });
    case "ticket":
      // It was used up by the first check.
      return isAnew ? Promise.resolve(refuseTicket()) : checkTicket(caller, credential.text, asked);
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
  const hash = recallHash(key.text) ?? (await hashKey(key.text));
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
      rememberHash(key.text, hash);
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
  asked: AskedAccess,
  { isAnew }: Check,
): Promise<Result<CheckedCredential, Problem>> {
  const keyStore = openKeyStore(caller.env);
  if (!keyStore.ok) return keyStore;
  // Others may share the address; what their token takes is remembered, or it would have to be asked for.
  const { domain } = asked.address;
  if (isBlocked(caller) && !keyStore.value.remembersDomain(domain)) return err(TOO_MANY_FAILURES);
  const mark = keyStore.value.domainsMark;
  const { keepAlive } = caller;
  const lookup = await keyStore.value.findDomain(domain, { keepAlive, isAnew });
  if (lookup.type !== "found") return err(keyStoreUnavailable(lookup));
  const check = await judgeToken(token, asked, lookup);
  if (lookup.isFresh || !mayBeOutdated(check)) return concludeToken(caller, asked, lookup, check);
  if (isBlocked(caller)) return err(TOO_MANY_FAILURES);
  const reread = await rereadDomain(caller, keyStore.value, domain, mark);
  if (reread === null) {
    // Its holder knows no secret to guess: what is remembered of the policy is answer enough.
    if (check.type === "off") return refuseTokenPublisher();
    return err(await countToken(caller, TOKEN_UNCHECKED));
  }
  if (reread.type !== "found") return err(keyStoreUnavailable(reread));
  const anew = await judgeToken(token, asked, reread);
  return concludeToken(caller, asked, reread, anew);
}

type JudgedToken =
  | TokenCheck
  /** It may publish, but the domain takes no tokens of publishers. */
  | { readonly type: "off" };

async function judgeToken(
  token: string,
  asked: AskedAccess,
  { tokens, policy }: FoundDomain,
): Promise<JudgedToken> {
  const check = await verifyToken(token, asked, tokens, Date.now());
  const isOff = asked.action === "publish" && !policy.tokenPublishers;
  return check.type === "granted" && isOff ? { type: "off" } : check;
}

/** Whether a newer row of the domain may make something else of a token. */
function mayBeOutdated(check: JudgedToken): boolean {
  const { type } = check;
  return type === "undecided" || type === "off" || (type === "denied" && check.isBySettings);
}

async function concludeToken(
  caller: Caller,
  { action }: AskedAccess,
  { policy, atMs, isFresh }: FoundDomain,
  check: JudgedToken,
): Promise<Result<CheckedCredential, Problem>> {
  switch (check.type) {
    case "granted": {
      const { subject, expiresAtMs } = check;
      const grant = { keyId: null, subject, expiresAtMs, checkedAtMs: atMs };
      return ok({ grant, policy: { policy, atMs }, isFresh });
    }
    case "expired":
      // Not counted: its holder had one that was good, and can get another.
      return refuseEndedToken();
    // Neither is counted: its holder has no secret to guess, but the wrong token, or the wrong domain.
    case "off":
      return refuseTokenPublisher();
    case "other-action":
      return err(LACKING[action]);
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

/** The answer to a token that allows something else on the topic. */
const LACKING: Readonly<Record<TokenAction, Problem>> = {
  publish: {
    slug: "token-lacks-publish",
    detail: 'Get a token whose "authorization_details" have the action "publish" for this topic',
  },
  subscribe: {
    slug: "token-lacks-subscribe",
    detail: 'Get a token whose "authorization_details" have the action "subscribe" for this topic',
  },
};

async function checkTicket(
  caller: Caller,
  ticket: string,
  { action, address: { domain, topic } }: AskedAccess,
): Promise<Result<CheckedCredential, Problem>> {
  if (isBlocked(caller)) return err(TOO_MANY_FAILURES);
  const object = (): ReturnType<FindDomain> => domainStub(caller.env, domain);
  const hash = await hashTicket(ticket, action);
  const taken = await tryTicket(object, hash, topic);
  if (taken === null) {
    await countFailure(caller);
    return refuseTicket();
  }
  const checked = { policy: null, grant: taken.grant, isFresh: false };
  const { ticket: entry } = taken;
  if (entry === null) return ok(checked);
  const giveBack = async (): Promise<void> => {
    try {
      await askAgain(() => object().giveTicketBack(hash, topic, entry));
    } catch (error) {
      // The domain is out of reach, overloaded or was reset: the ticket is lost, and its holder gets another.
      logError({ event: "domain-unreachable", error: String(error) });
    }
  };
  return ok({ ...checked, giveBack });
}
