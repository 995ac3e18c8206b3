/** Reads lengths of time as people write them. */
import { err, ok, type Result } from "../../core/result.ts";

const UNIT_SECONDS: Readonly<Record<string, number>> = {
  s: 1,
  m: 60,
  h: 3600,
  d: 86_400,
  w: 604_800,
};

/** Far beyond any use, and still a date that everything can hold. */
const MOST_SECONDS = 36_500 * 86_400;

/** Seconds in a text such as "90s", "15m", "1h", "30d" or "2w". */
export function parseDuration(text: string): Result<number> {
  const match = /^(\d{1,12})([smhdw])$/.exec(text);
  const unit = UNIT_SECONDS[match?.[2] ?? ""];
  if (match === null || unit === undefined) {
    return err("Give a number and a unit: 90s, 15m, 1h, 30d, 2w");
  }
  const seconds = Number(match[1]) * unit;
  return seconds <= MOST_SECONDS ? ok(seconds) : err("At most 100 years: 36500d");
}
