/**
 * What the operator can learn of a domain's topics (PROTOCOL.md, 15.2, 15.3 and 15.8). Wakes nothing but what it asks.
 */
import type { Address } from "../core/address.ts";
import { askAgain } from "../core/fresh-stub.ts";
import type { Problem } from "../core/problem.ts";
import { err, ok, type Result } from "../core/result.ts";
import { lacksMethod } from "../core/version-before.ts";
import { domainStub, topicStub } from "../stubs.ts";
import type { SocketReport } from "../topic/socket-report.ts";
import type { Topic } from "../topic/topic.ts";
import type { Caller } from "./caller.ts";

/** Topics or sockets of a page, unless the client says otherwise. */
const DEFAULT_LIMIT = 100;
const MAX_LIMIT = 1000;

/** The answer to what a topic of the version before cannot do. */
export const OUTDATED_TOPIC: Problem = {
  slug: "topic-unavailable",
  detail:
    "The hub is being updated, and this topic has its turn yet to come: try again in a minute",
};

/** Lists a page of the live topics, out of the domain's register. */
export async function listTopics(
  { env }: Caller,
  domain: string,
  query: URLSearchParams,
): Promise<Result<object, Problem>> {
  const asked = readLimit(query);
  if (!asked.ok) return asked;
  const limit = asked.value;
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

/** Lists sockets of a topic, as it says itself; how many there are besides, its counts say. */
export async function listSockets(
  { env }: Caller,
  address: Address,
  query: URLSearchParams,
): Promise<Result<object, Problem>> {
  const limit = readLimit(query);
  if (!limit.ok) return limit;
  const asOf = new Date();
  const topic = (): DurableObjectStub<Topic> => topicStub(env, address);
  try {
    const [{ phase, publishers, subscribers }, sockets] = await Promise.all([
      askAgain(() => topic().describe()),
      askAgain(() => topic().sockets(limit.value)),
    ]);
    return ok({
      ...address,
      phase,
      publishers,
      subscribers,
      as_of: asOf.toISOString(),
      sockets: sockets.map(describeSocket),
    });
  } catch (error) {
    if (!lacksMethod(error)) throw error;
    return err(OUTDATED_TOPIC);
  }
}

function describeSocket(socket: SocketReport): object {
  const { role, protocol, connectedAtMs, keyId, subject, country } = socket;
  return {
    role,
    protocol,
    since: connectedAtMs === null ? null : new Date(connectedAtMs).toISOString(),
    key: keyId,
    subject,
    country,
    bytes_waiting: socket.waitingBytes,
    messages_behind: socket.messagesBehind,
  };
}

function readLimit(query: URLSearchParams): Result<number, Problem> {
  const text = query.get("limit") ?? String(DEFAULT_LIMIT);
  const limit = /^[1-9]\d{0,3}$/.test(text) ? Number(text) : NaN;
  if (limit <= MAX_LIMIT) return ok(limit);
  return err({
    slug: "invalid-parameter",
    detail: `"limit" must be a whole number from 1 to ${MAX_LIMIT}`,
  });
}
