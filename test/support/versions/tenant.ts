/** A domain with two keys and a policy, on a hub of mixed versions; its topics have names that a test gives. */
import { freshDomain, freshKey } from "../addresses.ts";
import { Client, connect, open, type Refusal } from "../client.ts";
import type { Edge } from "./mixed-hub.ts";

/** A key and its number. */
export interface TenantKey {
  readonly key: string;
  readonly id: number;
}

/** One such domain. */
export interface Tenant {
  readonly domain: string;
  readonly ours: TenantKey;
  /** Another key of the same domain. */
  readonly theirs: TenantKey;
  /** The URL of a publisher, by our key unless another is given. */
  readonly pub: (topic: string, of?: TenantKey) => string;
  /** The URL of a subscriber. */
  readonly sub: (topic: string) => string;
  /** The same domain by another edge, or on another hub with the same key store. */
  readonly on: (edge: Edge) => Tenant;
}

/** Creates one. */
export async function newTenant(
  edge: Edge,
  policy: Parameters<typeof freshDomain>[0] = null,
): Promise<Tenant> {
  const { domain } = await freshDomain(policy);
  const [ours, theirs] = [await freshKey(domain), await freshKey(domain)];
  const on = ({ url }: Edge): Tenant => ({
    domain,
    ours,
    theirs,
    pub: (topic, { key } = ours) => `${url}/ws/pub/${key}/${domain}/${topic}`,
    sub: (topic) => `${url}/ws/sub/${domain}/${topic}`,
    on,
  });
  return on(edge);
}

/** How the hub refused, as status and slug. */
export async function slugOf(refusal: Promise<Refusal>): Promise<string> {
  const { status, body } = await refusal;
  const { type } = JSON.parse(body) as { type: string };
  return `${status} ${type.replace("urn:wspubsub:problem:", "")}`;
}

/** Opens a socket that the hub will close; workerd ends the connection of one that never sent anything ten seconds late. */
export async function openAndSend(...args: Parameters<typeof open>): Promise<Client> {
  const client = await open(...args);
  client.send("hello");
  return client;
}

/** Connects with a key that opens nothing: refused, or let in by a cache and closed as soon as the topic knows (12.9). */
export async function turnedAway(url: string): Promise<string> {
  const outcome = await connect(url);
  if (!(outcome instanceof Client)) return slugOf(Promise.resolve(outcome));
  outcome.send("let in");
  const { code, reason } = await outcome.closed();
  return code === 4501 ? `401 ${reason}` : `closed with ${code} ${reason}`;
}

/** The header of a credential. */
export function bearer(credential: string): Record<string, string> {
  return { Authorization: `Bearer ${credential}` };
}
