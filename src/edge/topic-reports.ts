/** What the operator can learn of a domain's topics (PROTOCOL.md, 15.2 and 15.3). Wakes nothing but what it asks. */
import type { Address } from "../core/address.ts";
import { askAgain } from "../core/fresh-stub.ts";
import type { Problem } from "../core/problem.ts";
import { err, ok, type Result } from "../core/result.ts";
import { domainStub, topicStub } from "../stubs.ts";
import type { Caller } from "./caller.ts";

/** Topics of a page, unless the client says otherwise. */
const DEFAULT_LIMIT = 100;
const MAX_LIMIT = 1000;

/** Lists a page of the live topics, out of the domain's register. */
export async function listTopics(
  { env }: Caller,
  domain: string,
  query: URLSearchParams,
): Promise<Result<object, Problem>> {
  const limitText = query.get("limit") ?? String(DEFAULT_LIMIT);
  const limit = /^[1-9]\d{0,3}$/.test(limitText) ? Number(limitText) : NaN;
  if (!(limit <= MAX_LIMIT)) {
    return err({
      slug: "invalid-parameter",
      detail: `"limit" must be a whole number from 1 to ${MAX_LIMIT}`,
    });
  }
  const asOf = new Date();
  const after = query.get("after") ?? "";
  const page = await askAgain(() => domainStub(env, domain).topics(after, limit + 1));
  const topics = page.slice(0, limit);
  return ok({
    domain,
    as_of: asOf.toISOString(),
    topics: topics.map(({ topic, sinceMs }) => ({ topic, since: new Date(sinceMs).toISOString() })),
    next: page.length > limit ? (topics.at(-1)?.topic ?? null) : null,
  });
}

/** Says how one topic is, as it says itself. */
export async function describeTopic(
  { env }: Caller,
  address: Address,
): Promise<Result<object, Problem>> {
  const asOf = new Date();
  const [{ phase, publishers, subscribers }, sinceMs] = await Promise.all([
    askAgain(() => topicStub(env, address).describe()),
    askAgain(() => domainStub(env, address.domain).liveSince(address.topic)),
  ]);
  const isLive = phase !== "vacant" && sinceMs !== null;
  return ok({
    ...address,
    phase,
    publishers,
    subscribers,
    since: isLive ? new Date(sinceMs).toISOString() : null,
    as_of: asOf.toISOString(),
  });
}
