/**
 * What the edge tells a domain's object, also one of the version before: during a deploy objects change one by
 * one. The only place that knows what the methods were called. One that ended meanwhile is asked once more.
 */
import type { KeyChange, KeyStanding, Told } from "../core/change.ts";
import { askAgain } from "../core/fresh-stub.ts";
import type { Grant } from "../core/grant.ts";
import type { Policy } from "../core/policy.ts";
import type { Problem } from "../core/problem.ts";
import { lacksMethod } from "../core/version-before.ts";
import type { Domain } from "../domain/domain.ts";
import type { TakenTicket } from "../domain/tickets.ts";

/** What came of telling; the version before counts no objects. */
export interface Outcome extends Pick<Told, "closed" | "isHeld"> {
  readonly told: number | null;
  readonly missed: number | null;
}

/** The answer to what an object of the version before cannot do. */
export const OUTDATED_DOMAIN: Problem = {
  slug: "topic-unavailable",
  detail:
    "The hub is being updated, and this domain has its turn yet to come: try again in a minute",
};

/** A stub of a domain, a fresh one each time. */
export type FindDomain = () => DurableObjectStub<Domain>;

/** What the key store says of a key. */
export interface KeyNews {
  readonly keyId: number;
  readonly standing: KeyStanding;
  /** By the key store's clock. */
  readonly atMs: number;
  /** The key is revoked, or not there any more: it never opens again. */
  readonly isForGood: boolean;
}

/** Tells what the key store says of a key. */
export async function changeKey(
  domain: FindDomain,
  { keyId, standing, atMs, isForGood }: KeyNews,
): Promise<Outcome> {
  try {
    return await askAgain(() => domain().changeKey(keyId, standing, atMs, isForGood));
  } catch (error) {
    if (!lacksMethod(error)) throw error;
    const closed = await askAgain(() => domain().applyKey(keyId, standing));
    return { closed, told: null, missed: null, isHeld: false };
  }
}

/** Tells what the domain allows; `null` where the object cannot be told yet. */
export function changePolicy(
  domain: FindDomain,
  policy: Policy,
  atMs: number,
): Promise<Outcome | null> {
  return unlessLacking(() => domain().changePolicy(policy, atMs));
}

/** Revokes a key that the key store cannot be told of; `null` where the object cannot do that yet. */
export function holdRevocation(domain: FindDomain, keyId: number): Promise<Outcome | null> {
  return unlessLacking(() => domain().holdRevocation(keyId));
}

/** What a domain has heard of a key of late, `null` where it heard nothing, or is of the version before. */
export function changeOf(domain: FindDomain, keyId: number): Promise<KeyChange | null> {
  return unlessLacking(() => domain().changeOf(keyId));
}

/** Takes a ticket, `null` when it opens nothing; one of the version before is used up for good: `ticket` is `null`. */
export async function tryTicket(
  domain: FindDomain,
  hash: string,
  topic: string,
): Promise<{ readonly grant: Grant; readonly ticket: TakenTicket | null } | null> {
  try {
    const ticket = await askAgain(() => domain().tryTicket(hash, topic));
    return ticket === null ? null : { grant: ticket.grant, ticket };
  } catch (error) {
    if (!lacksMethod(error)) throw error;
    const grant = await askAgain(() => domain().takeTicket(hash, topic));
    return grant === null ? null : { grant, ticket: null };
  }
}

/** Tells that a key was found dead that the domain may believe to be live. */
export async function reportDeadKey(
  domain: FindDomain,
  keyId: number,
  atMs: number,
): Promise<void> {
  try {
    await askAgain(() => domain().reportDeadKey(keyId, atMs));
  } catch (error) {
    if (!lacksMethod(error)) throw error;
    await askAgain(() => domain().reportDead(keyId, atMs));
  }
}

async function unlessLacking<T>(call: () => Promise<T>): Promise<T | null> {
  try {
    return await askAgain(call);
  } catch (error) {
    if (!lacksMethod(error)) throw error;
    return null;
  }
}
