/**
 * The id of a post in its `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header): a quoted string, as the draft
 * writes it, or its bare characters, as most clients do.
 */
import { parseId } from "../core/frame.ts";
import type { Problem } from "../core/problem.ts";
import { err, ok, type Result } from "../core/result.ts";

/** A string of RFC 9651, section 3.3.3. */
const QUOTED = /^"((?:[^"\\]|\\["\\])*)"$/;

/** Reads the header's value, `null` where there is none. */
export function readIdempotencyKey(value: string | null): Result<string | null, Problem> {
  if (value === null) return ok(null);
  const text = value.trim();
  const [, quoted] = QUOTED.exec(text) ?? [];
  const bare = text.startsWith('"') ? null : text;
  const id = parseId(quoted?.replaceAll(/\\(.)/g, "$1") ?? bare);
  if (id !== null) return ok(id);
  return err({
    slug: "invalid-idempotency-key",
    detail: "Send 1 to 64 printable ASCII characters without spaces, such as a UUID, once",
  });
}
