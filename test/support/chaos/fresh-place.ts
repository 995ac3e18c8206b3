/** A topic of the shared hub for one test, in a domain that keeps what it is given, so that messages survive cuts. */
import { inject } from "vitest";
import { freshDomain } from "../addresses.ts";
import type { Place } from "./exactly-once.ts";

/** What such a domain's policy says of history. */
export const DURABLE = { history_messages: 100_000, history_seconds: 3600 };

/** Makes one, where a test wants it with more policy and on a hub of its own. */
export async function freshPlace(
  policy: Parameters<typeof freshDomain>[0] = {},
  hubUrl: string = inject("hub").url,
): Promise<Place & { domain: string; topic: string }> {
  const { key, domain } = await freshDomain({ ...DURABLE, ...policy });
  const topic = crypto.randomUUID();
  const url = hubUrl.replace(/^http/, "ws");
  const pub = `${url}/ws/pub/${domain}/${topic}`;
  return { key, domain, topic, pub, sub: `${url}/ws/sub/${domain}/${topic}` };
}
