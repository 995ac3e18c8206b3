/** A topic's messages by plain HTTP, at either edge of a hub of two versions. */
import { ownAddress } from "../client.ts";
import type { Edge, MixedHub, Mixture } from "./mixed-hub.ts";
import { bearer, type Tenant } from "./tenant.ts";

/** What was answered. */
export interface Answer {
  /** The status, of a refusal with its slug. */
  readonly said: string;
  readonly body: Record<string, unknown>;
}

/** Asks for the messages of the topic `t` at an edge, by a key of the tenant's. */
export async function ask(
  { url }: Edge,
  { domain, ours }: Tenant,
  query: string = "",
  init: Omit<RequestInit, "headers"> & { readonly headers?: Record<string, string> } = {},
): Promise<Answer> {
  const messages = `${url.replace(/^ws/, "http")}/v1/domains/${domain}/topics/t/messages`;
  const headers = { "CF-Connecting-IP": ownAddress(), ...bearer(ours.key), ...init.headers };
  const response = await fetch(`${messages}${query}`, { ...init, headers });
  const body = (await response.json()) as Record<string, unknown>;
  const slug = String(body["type"]).replace("urn:wspubsub:problem:", "");
  return { said: response.ok ? String(response.status) : `${response.status} ${slug}`, body };
}

/** Posts a text to it. */
export function post(
  edge: Edge,
  tenant: Tenant,
  body: string,
  id: string,
  query: string = "",
): Promise<Answer> {
  return ask(edge, tenant, query, { method: "POST", headers: { "Idempotency-Key": id }, body });
}

/** The edges of a hub: of this version, and of the one before. */
export function edgesOf(
  hub: MixedHub,
  { edge }: Mixture,
): { readonly current: Edge; readonly old: Edge } {
  return edge === "current"
    ? { current: hub, old: hub.otherEdge }
    : { current: hub.otherEdge, old: hub };
}
