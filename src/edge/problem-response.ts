/**
 * Puts a problem on the wire: `application/problem+json` (RFC 9457), never cached. The body depends on
 * slug and detail alone, so equal refusals are byte-identical.
 */
import { PROBLEMS, problemDetails, type Problem } from "../core/problem.ts";

/** The response that refuses a request; `headers` stand in the place of what the problem's kind has. */
export function problemResponse(
  problem: Problem,
  headers: Readonly<Record<string, string>> = {},
): Response {
  const kind = PROBLEMS[problem.slug];
  const { retryAfter } = problem;
  return new Response(`${JSON.stringify(problemDetails(problem))}\n`, {
    status: kind.status,
    headers: {
      ...kind.headers,
      ...(retryAfter !== undefined && { "Retry-After": String(retryAfter) }),
      ...headers,
      "Content-Type": "application/problem+json",
      "Cache-Control": "no-store",
    },
  });
}
