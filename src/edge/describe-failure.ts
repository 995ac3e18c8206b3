/** What is told of a failure that nobody has foreseen; the log is told more. */
import { isPassing } from "../core/fresh-stub.ts";
import type { Problem } from "../core/problem.ts";
import { logError } from "../log.ts";

/** Logs a failure; returns the problem that it is to the client. */
export function describeFailure(error: Error): Problem {
  if (isPassing(error)) {
    logError({ event: "topic-unavailable", error: error.message });
    return { slug: "topic-unavailable", detail: "Try again in a few seconds" };
  }
  logError({ event: "internal", error: error.message, stack: error.stack ?? null });
  return { slug: "internal", detail: "The failure was logged" };
}
