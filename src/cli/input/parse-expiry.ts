/** Reads when something is to end: after a while, or at a moment. */
import { err, ok, type Result } from "../../core/result.ts";
import { parseDuration } from "./parse-duration.ts";

/** A while is kept as such: it begins by the clock of whoever stores it. */
export type Expiry =
  | { readonly type: "after"; readonly seconds: number }
  | { readonly type: "at"; readonly date: Date };

const ADVICE =
  "Give a time from now (90s, 15m, 1h, 30d, 2w) or a date (2030-01-31, 2030-01-31T12:00:00Z)";

/** ISO 8601, as far as it is unambiguous: a time of day says its zone, a date alone begins in UTC. */
const ISO_DATE = /^(\d{4}-\d\d-\d\d)(T\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:\d\d))?$/;

/** Reads one; it must not have passed. */
export function parseExpiry(text: string): Result<Expiry> {
  const day = ISO_DATE.exec(text)?.[1];
  if (day === undefined) {
    const seconds = parseDuration(text);
    if (!seconds.ok) return err(/^\d+[smhdw]$/.test(text) ? seconds.error : ADVICE);
    if (seconds.value === 0) return err("It would have expired already");
    return ok({ type: "after", seconds: seconds.value });
  }
  const date = new Date(text);
  // The 31st of February would become a day in March.
  const isInCalendar = !isNaN(Date.parse(day)) && new Date(day).toISOString().startsWith(day);
  if (!isInCalendar || isNaN(date.getTime())) return err("There is no such date");
  if (date.getTime() <= Date.now()) return err("That is in the past");
  return ok({ type: "at", date });
}

/** The moment it stands for, by this machine's clock. */
export function expiryDate(expiry: Expiry): Date {
  switch (expiry.type) {
    case "after":
      return new Date(Date.now() + expiry.seconds * 1000);
    case "at":
      return expiry.date;
  }
}
