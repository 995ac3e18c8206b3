/** Why a request got no answer. */

/** A clause; `fetch` itself says only "fetch failed" and keeps the reason among its causes. */
export function describeFetchFailure(error: unknown, timeoutMs: number): string {
  let reason = String(error);
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if (cause.name === "TimeoutError") return `no answer within ${timeoutMs / 1000} seconds`;
    reason = "code" in cause && typeof cause.code === "string" ? cause.code : cause.message;
  }
  return reason;
}
