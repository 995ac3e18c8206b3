/** What a subscriber may ask for with `?since=` (PROTOCOL.md, 9.4). */
import { parseCursor, type Cursor } from "./cursor.ts";
import { POLICY_RULES } from "./policy.ts";
import { err, ok, type Result } from "./result.ts";

/** Where in the past a subscriber begins. */
export type Since =
  | { readonly type: "cursor"; readonly cursor: Cursor }
  | { readonly type: "earliest" }
  | { readonly type: "duration"; readonly ms: number }
  /** The last so many messages. */
  | { readonly type: "last"; readonly count: number };

/** What the log may keep at most, and hence the most that makes sense to ask for. */
const MAX_COUNT = POLICY_RULES.historyMessages.most;
const MAX_DURATION_MS = POLICY_RULES.historySeconds.most * 1000;

const UNIT_MS: Readonly<Record<string, number>> = {
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** Reads the value of `?since=`; the error is a sentence that says what would be right. */
export function parseSince(text: string): Result<Since> {
  if (text === "earliest") return ok({ type: "earliest" });
  const cursor = parseCursor(text);
  if (cursor !== null) return ok({ type: "cursor", cursor });

  const [, last] = /^-([1-9]\d{0,5})$/.exec(text) ?? [];
  if (Number(last) <= MAX_COUNT) return ok({ type: "last", count: Number(last) });

  const [, amount, unit = ""] = /^([1-9]\d{0,6})([smhd])$/.exec(text) ?? [];
  const ms = Number(amount) * (UNIT_MS[unit] ?? NaN);
  if (ms <= MAX_DURATION_MS) return ok({ type: "duration", ms });

  return err(
    `"since" must be a cursor, "earliest", a duration such as 30s, 5m or 2h (at most 30d), ` +
      `or -N for the last N messages (at most ${MAX_COUNT})`,
  );
}

/** The same of one that the edge has checked, `null` without one; throws on any other. */
export function checkedSince(text: string | null): Since | null {
  if (text === null) return null;
  const parsed = parseSince(text);
  if (!parsed.ok) throw new Error(parsed.error);
  return parsed.value;
}
