/**
 * The hub's admin routes, as the command line uses them. Refusals come as problems (RFC 9457) and are
 * told by title and detail. Never sends its token anywhere but to the hub.
 */
import * as v from "valibot";
import { err, ok, type Result } from "../core/result.ts";
import { parseJson } from "./input/parse-json.ts";
import { describeFetchFailure } from "./output/describe-fetch-failure.ts";
import { printable } from "./output/printable.ts";
import type { HubPlace } from "./find-places.ts";
import {
  DomainSyncSchema,
  HeldSchema,
  KeySyncSchema,
  MessagesForgottenSchema,
  ProblemSchema,
  RevokedSchema,
  SocketListSchema,
  TopicEndedSchema,
  TopicListSchema,
  TopicSchema,
  type DomainSync,
  type KeySync,
  type MessagesForgotten,
  type SocketList,
  type TopicEnded,
  type TopicList,
  type TopicStatus,
} from "./hub-answers.ts";

/** Milliseconds that the hub has to answer. */
const TIMEOUT_MS = 10_000;

/** Why the hub did not do what it was asked. */
export interface HubFailure {
  /** A sentence without its full stop. */
  readonly message: string;
  /** The hub answers that there is no such thing, or no such route or method. */
  readonly isNotFound: boolean;
}

/** A hub's answer. */
type Answer<T> = Promise<Result<T, HubFailure>>;

/** What a hub may answer when it does what it was asked, by status. */
type Answers<T> = Readonly<Partial<Record<200 | 202, v.GenericSchema<unknown, T>>>>;

/** A hub. */
export class Hub {
  readonly #place: HubPlace;

  constructor(place: HubPlace) {
    this.#place = place;
  }

  /** Lists a domain's topics, one page. */
  listTopics(
    domain: string,
    page: { readonly limit?: number; readonly after?: string },
  ): Answer<TopicList> {
    const query = new URLSearchParams();
    if (page.after !== undefined) query.set("after", page.after);
    if (page.limit !== undefined) query.set("limit", String(page.limit));
    const path = `${domainPath(domain)}/topics`;
    return this.#ask("GET", query.size > 0 ? `${path}?${query.toString()}` : path, {
      200: TopicListSchema,
    });
  }

  /** Looks at one topic. */
  showTopic(domain: string, topic: string): Answer<TopicStatus> {
    const path = `${domainPath(domain)}/topics/${encodeURIComponent(topic)}`;
    return this.#ask("GET", path, { 200: TopicSchema });
  }

  /** Ends a topic, whoever is there; an older hub cannot (not found), nor where nothing is there. */
  endTopic(domain: string, topic: string): Answer<TopicEnded> {
    const path = `${domainPath(domain)}/topics/${encodeURIComponent(topic)}`;
    return this.#ask("DELETE", path, { 200: TopicEndedSchema });
  }

  /** Has a topic forget what was published; an older hub cannot. */
  forgetMessages(domain: string, topic: string): Answer<MessagesForgotten> {
    const path = `${domainPath(domain)}/topics/${encodeURIComponent(topic)}/messages`;
    return this.#ask("DELETE", path, { 200: MessagesForgottenSchema });
  }

  /** Lists the sockets of a topic, at most so many; an older hub cannot (not found). */
  listSockets(domain: string, topic: string, limit: number): Answer<SocketList> {
    const path = `${domainPath(domain)}/topics/${encodeURIComponent(topic)}/sockets?limit=${limit}`;
    return this.#ask("GET", path, { 200: SocketListSchema });
  }

  /** Has the hub read a domain's policy anew and tell live topics; an older hub cannot (not found). */
  syncDomain(domain: string): Answer<DomainSync> {
    return this.#ask("POST", `${domainPath(domain)}/sync`, { 200: DomainSyncSchema });
  }

  /** Has the hub read a key anew, and close its sockets if it opens nothing any more. */
  syncKey(domain: string, id: number): Answer<KeySync> {
    return this.#ask("POST", `${domainPath(domain)}/keys/${id}/sync`, { 200: KeySyncSchema });
  }

  /** Has the hub revoke a key; it holds the revocation where it cannot reach Postgres either. */
  revokeKey(domain: string, id: number): Answer<KeySync> {
    const answers = { 200: RevokedSchema, 202: HeldSchema };
    return this.#ask("DELETE", `${domainPath(domain)}/keys/${id}`, answers);
  }

  async #ask<T>(method: "GET" | "POST" | "DELETE", path: string, answers: Answers<T>): Answer<T> {
    const { url, adminToken } = this.#place;
    let response: Response;
    let text: string;
    try {
      response = await fetch(`${url}${path}`, {
        method,
        headers: { Authorization: `Bearer ${adminToken}`, Accept: "application/json" },
        // The hub never redirects: this is something else.
        redirect: "manual",
        signal: AbortSignal.timeout(TIMEOUT_MS),
      });
      text = await response.text();
    } catch (cause) {
      // TypeError: no connection, or none that lasted. TimeoutError.
      return fail(`Cannot reach the hub at ${url}: ${describeFetchFailure(cause, TIMEOUT_MS)}`);
    }
    const { status } = response;
    const body = parseJson(text);
    const schema = status === 200 || status === 202 ? answers[status] : undefined;
    const answer = schema && v.safeParse(schema, body);
    if (answer?.success === true) return ok(answer.output);
    const problem = v.safeParse(ProblemSchema, body);
    if (status < 400 || !problem.success) {
      return fail(`${url} answers ${status} and not as a hub does: check HUB_URL`);
    }
    return err({
      message: describeProblem(status, problem.output),
      isNotFound: status === 404 || status === 405,
    });
  }
}

function domainPath(domain: string): string {
  return `/v1/domains/${encodeURIComponent(domain)}`;
}

function fail(message: string): Result<never, HubFailure> {
  return err({ message, isNotFound: false });
}

function describeProblem(status: number, problem: v.InferOutput<typeof ProblemSchema>): string {
  // One line, whatever it is that answers for the hub.
  const what = printable([problem.title, problem.detail].filter(Boolean).join(". "));
  // Titles speak of API keys, since most who meet them come with one.
  if (status === 401) return `The hub refused ADMIN_TOKEN (401): ${what}`;
  return status >= 500
    ? `The hub cannot do it (${status}): ${what}`
    : `The hub refused (${status}): ${what}`;
}
