/** What the hub says no with. Owns how refusals and closes become an error; decides nothing by them. */
import type { ProblemDetails } from "../core/problem.ts";

/** A refusal of the hub's, or the end of a connection. */
export class HubError extends Error {
  /** The problem's stable name, such as `key-rejected` (PROTOCOL.md, 4.1, 8.1, 10.11), or `connection-lost`. */
  readonly slug: string;
  /** What is wrong, for people. */
  readonly detail: string;
  /** The close code; `null` where a publish was refused on a connection that goes on. */
  readonly code: number | null;
  /** The problem's HTTP status; `null` where the hub gave only a close code. */
  readonly status: number | null;
  /** Seconds after which it makes sense to try again, where the hub says so. */
  readonly retryAfter?: number;

  /** Puts its parts together. */
  constructor(slug: string, detail: string, code: number | null = null, problem?: ProblemDetails) {
    super(`${detail} (${slug})`);
    this.name = "HubError";
    this.slug = slug;
    this.detail = detail;
    this.code = code;
    this.status = problem?.status ?? null;
    if (problem?.retryAfter !== undefined) this.retryAfter = problem.retryAfter;
  }
}

/** The error of a problem. */
export function problemError(problem: ProblemDetails, code: number | null = null): HubError {
  return new HubError(slugOf(problem), problem.detail, code, problem);
}

/** The error of a close, with the problem that the hub told before it, if it is of that. */
export function closeError(code: number, reason: string, problem: ProblemDetails | null): HubError {
  if (problem !== null && (reason === "" || reason === slugOf(problem))) {
    return problemError(problem, code);
  }
  // What is no slug was said by something in between.
  return /^[a-z-]+$/.test(reason)
    ? new HubError(reason, "The hub has closed the connection", code)
    : new HubError("connection-lost", reason || "The connection was lost", code);
}

function slugOf({ type }: ProblemDetails): string {
  return type.slice(type.lastIndexOf(":") + 1);
}
