/**
 * What the edge can say for a handshake: first what its credential tells, then what a topic needs to know beside
 * it. A subscriber of a live topic that presents no credential never touches the database.
 */
import type {
  Admission,
  Answer,
  PublisherAdmission,
  SubscriberAdmission,
} from "../core/admission.ts";
import type { DatedPolicy } from "../core/policy.ts";
import { isTokenGrant } from "../core/grant.ts";
import type { Problem } from "../core/problem.ts";
import { err, ok, type Result } from "../core/result.ts";
import type { Caller } from "./caller.ts";
import { clientNumberOf } from "./client-number.ts";
import type { CachedDomainLookup } from "./cached-key-store.ts";
import { checkCredential, type CheckedCredential } from "./check-credential.ts";
import { refuseTicket } from "./credential.ts";
import { countFutileLookup, mayNotLookUp, TOO_MANY_LOOKUPS } from "./futile-lookups.ts";
import type { Handshake, PublisherHandshake, SubscriberHandshake } from "./handshake.ts";
import { keyStoreUnavailable, openKeyStore } from "./open-key-store.ts";
import { refuse } from "./refusal.ts";

/** What a topic can need. */
export type Needed = Extract<Answer, { type: "needs" }>["what"];

/** What is said, and how to give a ticket back that was taken for it. */
export interface Prepared {
  readonly admission: Admission;
  readonly giveBack: (() => Promise<void>) | null;
}

type Preparing = Promise<Result<Admission, Problem>>;

/** What is said first: by what is remembered, where that is enough. */
export async function prepare(
  handshake: Handshake,
  caller: Caller,
): Promise<Result<Prepared, Problem>> {
  return handshake.role === "publisher"
    ? preparePublisher(handshake, caller, false)
    : prepareSubscriber(handshake, caller, false);
}

/** What is said next, given what was said. */
export async function learn(
  handshake: Handshake,
  caller: Caller,
  said: Admission,
  needed: Needed,
): Preparing {
  if (handshake.role === "publisher") {
    // Its policy came with its credential: what it still needs is a newer one.
    const isByTicket = said.role === "publisher" && handshake.credential.type === "ticket";
    if (isByTicket) return renewPolicy(handshake, caller, said);
    return admissionOf(await preparePublisher(handshake, caller, true));
  }
  if (needed === "policy") return addPolicy(handshake, caller, said);
  // No ticket is among these: it is not taken twice.
  return admissionOf(await prepareSubscriber(handshake, caller, true));
}

function admissionOf(prepared: Result<Prepared, Problem>): Result<Admission, Problem> {
  return prepared.ok ? ok(prepared.value.admission) : prepared;
}

async function preparePublisher(
  { role, address, subprotocol, options, credential }: PublisherHandshake,
  caller: Caller,
  isAnew: boolean,
): Promise<Result<Prepared, Problem>> {
  const asked = { address, action: "publish" } as const;
  const checked = await checkCredential(caller, credential, asked, { isAnew });
  if (!checked.ok) return checked;
  const { grant, giveBack = null } = checked.value;
  const found = await policyWith(checked.value, caller, address.domain);
  if (!found.ok) {
    await giveBack?.();
    return found;
  }
  const { policy, isFresh } = found.value;
  const admission: Admission = {
    v: 1,
    role,
    subprotocol,
    ...options,
    policy: policy.policy,
    policyAtMs: policy.atMs,
    grant,
    isKeyInPath: credential.type === "key" && credential.isInPath,
    isFresh,
    isRechecked: isAnew,
    ...countryMember(caller),
  };
  return ok({ admission, giveBack });
}

/** What a publisher's domain allows: of a ticket that is not known yet. */
async function policyWith(
  { grant, policy, isFresh }: CheckedCredential,
  caller: Caller,
  domain: string,
): Promise<Result<{ readonly policy: DatedPolicy; readonly isFresh: boolean }, Problem>> {
  if (policy !== null) return ok({ policy, isFresh });
  const found = await findPolicy(caller, domain, false);
  if (!found.ok) return found;
  const { atMs } = found.value;
  // The key of a ticket may have ended since.
  const isAllFresh = found.value.isFresh && isTokenGrant(grant);
  return ok({ policy: { policy: found.value.policy, atMs }, isFresh: isAllFresh });
}

/** A ticket is not taken twice: a token's stands until it expires, and only the policy may be outdated. */
async function renewPolicy(
  { address }: PublisherHandshake,
  caller: Caller,
  said: PublisherAdmission,
): Preparing {
  if (!isTokenGrant(said.grant)) return refuseTicket();
  const found = await findPolicy(caller, address.domain, true);
  if (!found.ok) return found;
  const { policy, atMs, isFresh } = found.value;
  return ok({ ...said, policy, policyAtMs: atMs, isFresh, isRechecked: true });
}

async function prepareSubscriber(
  handshake: SubscriberHandshake,
  caller: Caller,
  isAnew: boolean,
): Promise<Result<Prepared, Problem>> {
  const { role, address, subprotocol, options, credential } = handshake;
  // A credential that is presented and wrong is never a downgrade to nobody in particular.
  const checked =
    credential === null
      ? await checkNobody(caller, address.domain, isAnew)
      : await checkCredential(caller, credential, { address, action: "subscribe" }, { isAnew });
  if (!checked.ok) return checked;
  const { grant, policy, isFresh, giveBack = null } = checked.value;
  const { since, gap } = options;
  const admission: Admission = {
    v: 1,
    role,
    subprotocol,
    since,
    gap,
    ...(await waitMember(handshake, caller)),
    policy: policy?.policy ?? null,
    policyAtMs: policy?.atMs ?? 0,
    grant,
    isFresh,
    isRechecked: isAnew,
    ...countryMember(caller),
  };
  return ok({ admission, giveBack });
}

/** How it waits; a member only where it does. */
async function waitMember(
  { address, options: { waitSeconds: seconds } }: SubscriberHandshake,
  { client }: Caller,
): Promise<Pick<SubscriberAdmission, "wait">> {
  if (seconds === null) return {};
  return { wait: { seconds, client: await clientNumberOf(client, address) } };
}

/** A member only where there is something to say. */
function countryMember({ country }: Caller): Pick<Admission, "country"> {
  return country === null ? {} : { country };
}

type CheckedNobody = Omit<CheckedCredential, "grant"> & { readonly grant: null };

/** A client that presents nothing has nothing that could be checked, but what the domain allows to everybody. */
async function checkNobody(
  caller: Caller,
  domain: string,
  isAnew: boolean,
): Promise<Result<CheckedNobody, Problem>> {
  if (!isAnew) return ok({ grant: null, policy: null, isFresh: false });
  const found = await findPolicy(caller, domain, isAnew);
  if (!found.ok) return found;
  const { policy, atMs, isFresh } = found.value;
  return ok({ grant: null, policy: { policy, atMs }, isFresh });
}

async function addPolicy(
  { address }: SubscriberHandshake,
  caller: Caller,
  said: Admission,
): Preparing {
  // A grant proves that somebody knows the domain.
  const found =
    said.grant === null
      ? await findPolicyForNobody(caller, address.domain)
      : await findPolicy(caller, address.domain, false);
  if (!found.ok) return found;
  const { policy, atMs, isFresh } = found.value;
  // The grant is as fresh as it was; without one there is only the policy.
  const isAllFresh = isFresh && (said.grant === null || said.isFresh);
  return ok({ ...said, policy, policyAtMs: atMs, isFresh: isAllFresh });
}

/** Names cost nothing to make up: one that nobody knows has no live topic, so the topic need not be asked again. */
async function findPolicyForNobody(caller: Caller, domain: string): ReturnType<typeof findPolicy> {
  const keyStore = openKeyStore(caller.env);
  if (!keyStore.ok) return keyStore;
  const isFree = keyStore.value.remembersDomain(domain) || keyStore.value.knewDomain(domain);
  if (!isFree && mayNotLookUp(caller)) return err(TOO_MANY_LOOKUPS);
  const found = await findPolicy(caller, domain, false);
  if (!found.ok || found.value.isKnown) return found;
  if (found.value.isFresh) await countFutileLookup(caller);
  return refuse("topic-not-live");
}

async function findPolicy(
  { env, keepAlive }: Caller,
  domain: string,
  isAnew: boolean,
): Promise<Result<Extract<CachedDomainLookup, { type: "found" }>, Problem>> {
  const keyStore = openKeyStore(env);
  if (!keyStore.ok) return keyStore;
  const lookup = await keyStore.value.findDomain(domain, { keepAlive, isAnew });
  return lookup.type === "found" ? ok(lookup) : err(keyStoreUnavailable(lookup));
}
