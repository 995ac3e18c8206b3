/**
 * The hub's admin routes, as the command line uses them. Refusals come as problems (RFC 9457) and are
 * told by title and detail. Never sends its token anywhere but to the hub.
 */
import * as v from "valibot";
import { err, ok, type Result } from "../core/result.ts";
import { describeFetchFailure } from "./output/describe-fetch-failure.ts";
import { parseJson } from "./input/parse-json.ts";
import type { HubPlace } from "./find-places.ts";

/** Milliseconds that the hub has to answer. */
const TIMEOUT_MS = 10_000;

const ProblemSchema = v.object({ title: v.string(), detail: v.optional(v.string()) });

/** The topics of a domain that are there now, a page of them. */
export interface TopicList {
  readonly domain: string;
  readonly as_of: string;
  readonly topics: readonly { readonly topic: string; readonly since: string }[];
  /** What to go on after, `null` on the last page. */
  readonly next: string | null;
}

const TopicListSchema: v.GenericSchema<unknown, TopicList> = v.object({
  domain: v.string(),
  as_of: v.string(),
  topics: v.array(v.object({ topic: v.string(), since: v.string() })),
  next: v.nullable(v.string()),
});

/** One topic as it is now. */
export interface TopicStatus {
  readonly domain: string;
  readonly topic: string;
  readonly phase: "vacant" | "live" | "grace";
  readonly publishers: number;
  readonly subscribers: number;
  readonly since: string | null;
  readonly as_of: string;
}

const TopicSchema: v.GenericSchema<unknown, TopicStatus> = v.object({
  domain: v.string(),
  topic: v.string(),
  phase: v.picklist(["vacant", "live", "grace"]),
  publishers: v.number(),
  subscribers: v.number(),
  since: v.nullable(v.string()),
  as_of: v.string(),
});

/** What the hub did about a key. */
export interface KeySync {
  readonly state: "live" | "inactive" | "expired" | "revoked";
  /** Publishers. */
  readonly closed: number;
}

const SyncSchema: v.GenericSchema<unknown, KeySync> = v.object({
  state: v.picklist(["live", "inactive", "expired", "revoked"]),
  closed: v.number(),
});

/** A hub; its answers are results whose error is a sentence. */
export class Hub {
  readonly #place: HubPlace;

  constructor(place: HubPlace) {
    this.#place = place;
  }

  /** Lists a domain's topics, one page. */
  listTopics(
    domain: string,
    page: { readonly limit?: number; readonly after?: string },
  ): Promise<Result<TopicList>> {
    const query = new URLSearchParams();
    if (page.after !== undefined) query.set("after", page.after);
    if (page.limit !== undefined) query.set("limit", String(page.limit));
    const path = `/v1/domains/${encodeURIComponent(domain)}/topics`;
    return this.#ask("GET", query.size > 0 ? `${path}?${query.toString()}` : path, TopicListSchema);
  }

  /** Looks at one topic. */
  showTopic(domain: string, topic: string): Promise<Result<TopicStatus>> {
    const path = `/v1/domains/${encodeURIComponent(domain)}/topics/${encodeURIComponent(topic)}`;
    return this.#ask("GET", path, TopicSchema);
  }

  /** Has the hub read a key anew and close its publishers if it opens nothing any more. */
  syncKey(domain: string, id: number): Promise<Result<KeySync>> {
    const path = `/v1/domains/${encodeURIComponent(domain)}/keys/${id}/sync`;
    return this.#ask("POST", path, SyncSchema);
  }

  async #ask<T>(
    method: "GET" | "POST",
    path: string,
    schema: v.GenericSchema<unknown, T>,
  ): Promise<Result<T>> {
    const { url, adminToken } = this.#place;
    let response: Response;
    let text: string;
    try {
      response = await fetch(`${url}${path}`, {
        method,
        headers: { Authorization: `Bearer ${adminToken}`, Accept: "application/json" },
        // The hub never redirects; who does is not the hub.
        redirect: "manual",
        signal: AbortSignal.timeout(TIMEOUT_MS),
      });
      text = await response.text();
    } catch (cause) {
      // TypeError: no connection, or none that lasted. TimeoutError.
      return err(`Cannot reach the hub at ${url}: ${describeFetchFailure(cause, TIMEOUT_MS)}`);
    }
    const body = parseJson(text);
    const answer = v.safeParse(schema, body);
    if (response.status === 200 && answer.success) return ok(answer.output);
    const problem = v.safeParse(ProblemSchema, body);
    if (response.ok || !problem.success) {
      return err(`${url} answers ${response.status} and not as a hub does: check HUB_URL`);
    }
    const { title, detail } = problem.output;
    return err(
      `The hub refused (${response.status}): ${[title, detail].filter(Boolean).join(". ")}`,
    );
  }
}
