/** What a client takes for an answer, by its `Accept` (RFC 9110, section 12.5.1). */
import { parseAccept } from "hono/utils/accept";

const TAKEN_FOR_JSON: readonly string[] = ["application/json", "application/*", "*/*"];

/** Whether it takes JSON: the most specific range that JSON is in decides. */
export function acceptsJson(accept: string | null): boolean {
  if (accept === null || accept.trim() === "") return true;
  const ranges = parseAccept(accept);
  for (const range of TAKEN_FOR_JSON) {
    const found = ranges.find(({ type }) => type.toLowerCase() === range);
    if (found !== undefined) return found.q > 0;
  }
  return false;
}
